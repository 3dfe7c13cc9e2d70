import { AtlasError } from '../../errors.ts';
import type { Actor } from '../../utils/actor.ts';
import { freeBytes } from '../../utils/free-bytes.ts';
import { createReservedId } from '../../utils/reserved-id.ts';
import type { Done, Idempotency } from '../idempotency.ts';
import { ChunkDigests } from './chunk-digests.ts';
import {
  type Digests,
  type FileRecord,
  type FileStats,
  fileIncomplete,
  isStored,
  objectKeyOf,
  type StoredFile,
} from './domain.ts';
import { typeOf } from './file-type.ts';
import type { FileObjects, FileRepository } from './repository.ts';
import type { TransferSource } from './transfer-slots.ts';
import { createUploadRows, LEASE_SECONDS } from './upload-rows.ts';
import { UploadSlots } from './upload-slots.ts';
import { type ExpectedBytes, emptyFile, requireExpected, UploadStream } from './upload-stream.ts';

/** Uploads that one owner may have in progress at a time, across all hosts. */
export const UPLOADS_OF_OWNER_MAX = 100;
const RETRY_AFTER_SECONDS = 10;

/** What a caller sends along with the bytes. Type and name are not trusted. */
export interface UploadClaims {
  /** That of a demo file; otherwise a new one. */
  readonly id?: string;
  readonly name: string;
  /** As {@link declaredType} returns it; empty for none. */
  readonly declaredType: string;
  /** SHA-256 digests in hexadecimal that the bytes must match. */
  readonly sha256: readonly string[];
  readonly idempotencyKey?: string | undefined;
}

/** Moves bytes into the object store. All methods throw `AtlasError`. */
export interface Uploads {
  /**
   * Uploads a file through the API. It is stored when this resolves; otherwise nothing of it is retained. A retry sends
   * its bytes again, as only they say whether it is one.
   */
  upload(
    source: TransferSource,
    claims: UploadClaims,
    body: AsyncIterable<Uint8Array> | null,
    actor: Actor,
    signal: AbortSignal,
  ): Promise<Done<StoredFile>>;
  /** Receives the bytes of an initiated upload whose link points to Atlas. */
  receive(
    source: TransferSource,
    file: FileRecord,
    body: AsyncIterable<Uint8Array> | null,
    signal: AbortSignal,
  ): Promise<void>;
  /** Reads back the bytes sent to a link, and stores the file if they are as declared. */
  complete(file: FileRecord, actor: Actor, signal: AbortSignal): Promise<StoredFile>;
}

export function createUploads(
  repository: FileRepository,
  objects: FileObjects,
  stats: FileStats,
  idempotency: Idempotency,
): Uploads {
  const slots = new UploadSlots(stats);
  const rows = createUploadRows(repository, objects, idempotency);
  const keyOf = async (id: string) => objectKeyOf(await repository.realm(), id);
  const count = (sizeBytes: number) => {
    stats.bytesIn += sizeBytes;
  };

  const sniff = (head: Uint8Array, declared: string) => countedType(stats, head, declared);
  const sniffOrDiscard = (id: string, actor: Actor) => async (head: Uint8Array, declared: string) => {
    try {
      return sniff(head, declared);
    } catch (error) {
      await rows.discard(id, actor);
      throw error;
    }
  };

  async function putNew(
    owner: string,
    { id = createReservedId('file'), name, declaredType, idempotencyKey }: UploadClaims,
    stream: UploadStream,
    actor: Actor,
    signal: AbortSignal,
  ): Promise<Done<StoredFile>> {
    const head = await stream.head();
    if (head.byteLength === 0) throw emptyFile();
    const mediaType = sniff(head, declaredType);
    const row = { id, owner, name, mediaType };
    const started = await repository.begin(row, LEASE_SECONDS, UPLOADS_OF_OWNER_MAX, signal);
    if (started === null) throw tooManyUploads();
    return rows.renewing(id, async () => {
      try {
        await objects.put(await keyOf(id), stream, { mediaType, signal });
        const { digests } = stream;
        const sha256 = Buffer.from(digests.sha256).toString('hex');
        const content = ['uploadFile', name, declaredType, sha256] as const;
        const request = { owner, key: idempotencyKey, content };
        const stored = await rows.store(id, mediaType, digests, actor, request);
        if (stored.replayed) await rows.discard(id, actor);
        return stored;
      } catch (error) {
        await rows.discard(id, actor);
        throw error;
      }
    });
  }

  return {
    upload: (source, claims, body, actor, signal) =>
      streaming(body, { sha256: claims.sha256 }, count, (stream) =>
        slots.receive(source, stream, signal, () => putNew(source.owner, claims, stream, actor, signal)),
      ),
    receive: (source, { id, mediaType, sizeBytes, sha256 }, body, signal) =>
      streaming(body, { sha256: [sha256!], sizeBytes: sizeBytes! }, count, (stream) =>
        slots.receive(source, stream, signal, () =>
          rows.renewing(id, async () => {
            await objects.put(await keyOf(id), stream, { mediaType, signal });
          }),
        ),
      ),
    async complete(file, actor, signal) {
      const { id, sizeBytes, sha256 } = file;
      if (isStored(file)) return file;
      // An upload through the API completes on its own.
      if (sizeBytes === null || sha256 === null) throw fileIncomplete(id);
      return slots.run({ owner: file.owner, link: null }, signal, () =>
        rows.renewing(id, async () => {
          const bytes = await objects.get(await keyOf(id), { signal });
          if (bytes === null) throw fileIncomplete(id);
          const { mediaType, digests } = await readBack(
            bytes,
            sizeBytes,
            file.mediaType,
            sniffOrDiscard(id, actor),
          );
          requireExpected(digests, { sizeBytes, sha256: [sha256] });
          return (await rows.store(id, mediaType, digests, actor)).result;
        }),
      );
    },
  };
}

/** Returns the type of a file, and counts those that are refused. */
function countedType(stats: FileStats, head: Uint8Array, declared: string): string {
  try {
    return typeOf(head, declared);
  } catch (error) {
    stats.refusedTypes++;
    throw error;
  }
}

/** Digests the bytes of an object, and takes its type from the first chunk. */
async function readBack(
  bytes: ReadableStream<Uint8Array>,
  sizeBytes: number,
  declared: string,
  sniff: (head: Uint8Array, declared: string) => Promise<string>,
): Promise<{ mediaType: string; digests: Digests }> {
  const hashing = new ChunkDigests();
  let mediaType = declared;
  for await (const chunk of bytes) {
    if (hashing.sizeBytes === 0) mediaType = await sniff(chunk, declared);
    hashing.add(chunk);
    // Once there are too many bytes, the rest does not matter.
    if (hashing.sizeBytes > sizeBytes) break;
    freeBytes(chunk);
  }
  return { mediaType, digests: hashing.end() };
}

/** Wraps the body in an upload stream until the work settles. Throws `body_missing` if there is no body. */
async function streaming<T>(
  body: AsyncIterable<Uint8Array> | null,
  expected: ExpectedBytes,
  count: (sizeBytes: number) => void,
  work: (stream: UploadStream) => Promise<T>,
): Promise<T> {
  if (body === null) throw emptyFile();
  const stream = new UploadStream(body, expected, count);
  try {
    return await work(stream);
  } finally {
    void stream.close().catch(() => {});
  }
}

export function tooManyUploads(): AtlasError {
  return new AtlasError(
    'overloaded',
    `You have ${UPLOADS_OF_OWNER_MAX} uploads in progress, which is the maximum. Complete or delete some of them.`,
    { retryAfterSeconds: RETRY_AFTER_SECONDS },
  );
}
