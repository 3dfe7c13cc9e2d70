import { AtlasError } from '../../errors.ts';
import { isChunk } from './chunk-digests.ts';
import { CHUNK_BYTES, DIGEST_BYTES, fileNotFound, type StoredFile } from './domain.ts';
import type { FileObjects, FileRepository } from './repository.ts';

// 128 KiB of digests: those of 4 GiB.
const DIGESTS_AT_ONCE = 4096;

/**
 * Chunks of a file from `first` to `last`, both included, each compared with the digest that was taken when it came. A
 * chunk that is not right is never yielded: then it throws `file_corrupt`. Bytes that are at rest in the store are read
 * chunk by chunk, as fast as they are asked for.
 */
export async function* verifiedChunks(
  { repository, objects }: { readonly repository: FileRepository; readonly objects: FileObjects },
  file: StoredFile,
  key: string,
  [first, last]: readonly [first: number, last: number],
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { id, sizeBytes } = file;
  const readDigests = async (chunk: number) => {
    const count = Math.min(DIGESTS_AT_ONCE, last - chunk + 1);
    const found = await repository.chunkDigests(id, chunk, count, signal);
    if (found.byteLength < count * DIGEST_BYTES) throw fileNotFound(id);
    return found;
  };
  // Before the bytes, so that nothing is open while the database is asked.
  let digests = await readDigests(first);
  let digestsFrom = first;
  const end = Math.min(sizeBytes, (last + 1) * CHUNK_BYTES);
  const bytes = await objects.get(key, { first: first * CHUNK_BYTES, last: end - 1, signal });
  if (bytes === null) throw await missing(repository, id);
  const reader = bytes.getReader();
  try {
    for (let chunk = first; chunk <= last; chunk++) {
      if (chunk - digestsFrom >= DIGESTS_AT_ONCE) {
        digests = await readDigests(chunk);
        digestsFrom = chunk;
      }
      const { done, value } = await reader.read();
      const at = (chunk - digestsFrom) * DIGEST_BYTES;
      if (done || !isChunk(value, digests.subarray(at, at + DIGEST_BYTES))) throw corrupt(id, chunk);
      yield value;
    }
  } finally {
    void reader.cancel().catch(() => {});
  }
}

/** An object that is not there: of a file that was deleted meanwhile, or lost. */
async function missing(repository: FileRepository, id: string): Promise<AtlasError> {
  if ((await repository.find(id)) === null) return fileNotFound(id);
  return new AtlasError('file_corrupt', `The bytes of file ${id} are not in the object store.`);
}

function corrupt(id: string, chunk: number): AtlasError {
  const position = chunk * CHUNK_BYTES;
  return new AtlasError('file_corrupt', `The bytes of file ${id} from position ${position} on are damaged.`);
}
