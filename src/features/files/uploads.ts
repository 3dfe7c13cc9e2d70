import { AtlasError } from '../../errors.ts';
import { freeBytes } from '../../utils/free-bytes.ts';
import { ChunkDigests } from './chunk-digests.ts';
import {
  asGivenUp,
  type FileRecord,
  type FileStats,
  fileIncomplete,
  fileNotFound,
  isStored,
  objectKeyOf,
  type StoredFile,
} from './domain.ts';
import { typeOf } from './file-type.ts';
import type { FileObjects, FileRepository } from './repository.ts';
import { TransferSlots } from './transfer-slots.ts';
import { emptyFile, requirePromised, UploadStream } from './upload-stream.ts';

/** Uploads of one owner that may be under way at a time, on all hosts. */
export const UPLOADS_OF_OWNER_MAX = 100;
// Each may hold a part of 8 MiB or more on its way to S3.
const UPLOADS_MAX = 16;
// An upload whose process is gone is given up after the lease; one renewal may fail without harm.
const LEASE_SECONDS = 300;
const RENEW_MS = 100_000;
const DISCARD_MS = 5000;
const RETRY_AFTER_SECONDS = 10;

/** What a caller sends along with the bytes. Type and name are not trusted. */
export interface UploadClaims {
  readonly name: string;
  /** As {@link declaredType} gives it; empty for none. */
  readonly declaredType: string;
  /** SHA-256 in hexadecimal that the caller wants checked. */
  readonly sha256: readonly string[];
}

/** Brings bytes into the store. All methods throw `AtlasError`. */
export interface Uploads {
  /** Takes the bytes of a file. It is stored when this resolves; else nothing of it stays. */
  take(
    owner: string,
    claims: UploadClaims,
    body: AsyncIterable<Uint8Array> | null,
    signal: AbortSignal,
  ): Promise<StoredFile>;
  /** Takes bytes that were announced and come by a link of Atlas. */
  takeAnnounced(file: FileRecord, body: AsyncIterable<Uint8Array> | null, signal: AbortSignal): Promise<void>;
  /** Reads what came by a link, and stores the file where it is as announced. */
  complete(file: FileRecord, signal: AbortSignal): Promise<StoredFile>;
  /** Removes what an upload left behind. Never throws: what is not possible now is done by the reconciler. */
  discard(id: string): Promise<void>;
}

export function createUploads(repository: FileRepository, objects: FileObjects, stats: FileStats): Uploads {
  const slots = new TransferSlots(UPLOADS_MAX);
  const keyOf = async (id: string) => objectKeyOf(await repository.realm(), id);
  const count = (sizeBytes: number) => {
    stats.bytesIn += sizeBytes;
  };

  /** Does the work in a place of its own, and counts how it ended. */
  async function inSlot<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const leave = slots.enter();
    stats.uploadsInFlight = slots.inFlight;
    try {
      const result = await work();
      stats.uploads.complete++;
      return result;
    } catch (error) {
      stats.uploads.failed++;
      throw asGivenUp(error, signal);
    } finally {
      leave();
      stats.uploadsInFlight = slots.inFlight;
    }
  }

  /** Keeps the row of an upload alive while the work goes on. */
  async function renewing<T>(id: string, work: () => Promise<T>): Promise<T> {
    // A database that is away for a moment must not end an upload of an hour.
    const timer = setInterval(() => void repository.renew(id, LEASE_SECONDS).catch(() => {}), RENEW_MS);
    try {
      return await work();
    } finally {
      clearInterval(timer);
    }
  }

  function sniff(head: Uint8Array, declared: string): string {
    try {
      return typeOf(head, declared);
    } catch (error) {
      stats.refusedTypes++;
      throw error;
    }
  }

  /** Where the answer to the commit was lost, the row itself tells what became of it. */
  async function store(id: string, mediaType: string, digests: UploadStream['digests']) {
    try {
      const file = await repository.store(id, mediaType, digests);
      if (file !== null) return file;
    } catch (error) {
      const found = await repository.find(id).catch(() => null);
      if (found !== null && isStored(found)) return found;
      throw error;
    }
    const found = await repository.find(id);
    if (found !== null && isStored(found)) return found;
    throw fileNotFound(id);
  }

  async function discard(id: string): Promise<void> {
    try {
      if (!(await repository.abandon(id))) return;
      await objects.delete(await keyOf(id), AbortSignal.timeout(DISCARD_MS));
      await repository.forget(id);
    } catch {
      // The row says that the object has to go, or its lease ends.
    }
  }

  async function takeStream(
    owner: string,
    { name, declaredType }: UploadClaims,
    stream: UploadStream,
    signal: AbortSignal,
  ): Promise<StoredFile> {
    const head = await stream.head();
    if (head.byteLength === 0) throw emptyFile();
    const mediaType = sniff(head, declaredType);
    const id = Bun.randomUUIDv7();
    const begun = await repository.begin(
      { id, owner, name, mediaType },
      LEASE_SECONDS,
      UPLOADS_OF_OWNER_MAX,
      signal,
    );
    if (begun === null) throw tooManyUploads();
    return renewing(id, async () => {
      try {
        await objects.put(await keyOf(id), stream, { mediaType, signal });
        return await store(id, mediaType, stream.digests);
      } catch (error) {
        await discard(id);
        throw error;
      }
    });
  }

  return {
    discard,
    take: (owner, claims, body, signal) =>
      inSlot(signal, async () => {
        if (body === null) throw emptyFile();
        const stream = new UploadStream(body, { sha256: claims.sha256 }, count);
        try {
          return await takeStream(owner, claims, stream, signal);
        } finally {
          void stream.close().catch(() => {});
        }
      }),
    takeAnnounced: (file, body, signal) =>
      inSlot(signal, async () => {
        if (body === null) throw emptyFile();
        const { id, mediaType, sizeBytes, sha256 } = file;
        const stream = new UploadStream(body, { sha256: [sha256!], sizeBytes: sizeBytes! }, count);
        try {
          await renewing(id, async () => objects.put(await keyOf(id), stream, { mediaType, signal }));
        } finally {
          void stream.close().catch(() => {});
        }
      }),
    async complete(file, signal) {
      const { id, sizeBytes, sha256 } = file;
      if (isStored(file)) return file;
      // What comes straight to Atlas completes itself.
      if (sizeBytes === null || sha256 === null) throw fileIncomplete(id);
      return inSlot(signal, () =>
        renewing(id, async () => {
          const bytes = await objects.get(await keyOf(id), { signal });
          if (bytes === null) throw fileIncomplete(id);
          const hashing = new ChunkDigests();
          let mediaType = file.mediaType;
          for await (const chunk of bytes) {
            if (hashing.sizeBytes === 0) mediaType = await sniffOrDiscard(file, chunk);
            hashing.add(chunk);
            // Not read any further than what could still be right.
            if (hashing.sizeBytes > sizeBytes) break;
            freeBytes(chunk);
          }
          const digests = hashing.end();
          requirePromised(digests, { sizeBytes, sha256: [sha256] });
          return store(id, mediaType, digests);
        }),
      );
    },
  };

  async function sniffOrDiscard({ id, mediaType }: FileRecord, head: Uint8Array): Promise<string> {
    try {
      return sniff(head, mediaType);
    } catch (error) {
      await discard(id);
      throw error;
    }
  }
}

export function tooManyUploads(): AtlasError {
  return new AtlasError(
    'overloaded',
    `You have ${UPLOADS_OF_OWNER_MAX} uploads under way, as many as you may. Complete or delete some of them.`,
    { retryAfterSeconds: RETRY_AFTER_SECONDS },
  );
}
