import { AtlasError } from '../../errors.ts';
import { CHUNK_BYTES } from '../../utils/chunk-bytes.ts';
import type { ChunkCheck } from './chunk-digests.ts';
import { DIGEST_BYTES, fileNotFound, type StoredFile } from './domain.ts';
import type { FileObjects, FileRepository } from './repository.ts';

// 128 KiB of digests: those of 4 GiB.
const DIGESTS_PER_READ = 4096;

/** Where chunks and their digests are read, and what compares them. */
export interface ChunkSources {
  readonly repository: FileRepository;
  readonly objects: FileObjects;
  readonly isChunk: ChunkCheck;
}

/**
 * Yields the chunks of a file from `first` to `last`, both inclusive, each verified against the digest taken at upload.
 * Throws `file_corrupt` instead of yielding a damaged chunk. Reads from the store only as fast as the consumer pulls.
 */
export async function* verifiedChunks(
  { repository, objects, isChunk }: ChunkSources,
  file: StoredFile,
  key: string,
  [first, last]: readonly [first: number, last: number],
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { id, owner, sizeBytes } = file;
  const readDigests = async (chunk: number) => {
    const count = Math.min(DIGESTS_PER_READ, last - chunk + 1);
    const found = await repository.chunkDigests(id, chunk, count, signal);
    if (found.byteLength < count * DIGEST_BYTES) throw fileNotFound(id);
    return found;
  };
  // Before the bytes, so that no stream is open while the database is queried.
  let digests = await readDigests(first);
  let digestsFrom = first;
  const end = Math.min(sizeBytes, (last + 1) * CHUNK_BYTES);
  const bytes = await objects.get(key, { first: first * CHUNK_BYTES, last: end - 1, signal });
  if (bytes === null) throw await missing(repository, id);
  const reader = bytes.getReader();
  try {
    for (let chunk = first; chunk <= last; chunk++) {
      if (chunk - digestsFrom >= DIGESTS_PER_READ) {
        digests = await readDigests(chunk);
        digestsFrom = chunk;
      }
      const { done, value } = await reader.read();
      const at = (chunk - digestsFrom) * DIGEST_BYTES;
      if (done || !(await isChunk(owner, value, digests.subarray(at, at + DIGEST_BYTES))))
        throw corrupt(id, chunk);
      yield value;
    }
  } finally {
    void reader.cancel().catch(() => {});
  }
}

/** Returns why an object is missing: its file was deleted in the meantime, or the object was lost. */
async function missing(repository: FileRepository, id: string): Promise<AtlasError> {
  if ((await repository.find(id)) === null) return fileNotFound(id);
  return new AtlasError('file_corrupt', `The object of file ${id} is missing from the object store.`);
}

function corrupt(id: string, chunk: number): AtlasError {
  const position = chunk * CHUNK_BYTES;
  return new AtlasError('file_corrupt', `The bytes of file ${id} are corrupt at offset ${position}.`);
}
