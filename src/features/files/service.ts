import type { Actor } from '../../utils/actor.ts';
import type { Done, Idempotency } from '../idempotency.ts';
import {
  createFileStats,
  type FileRecord,
  type FileStats,
  fileNotFound,
  objectKeyOf,
  requireStored,
  type StoredFile,
} from './domain.ts';
import { createDownloads, type Downloads } from './downloads.ts';
import { createLinks, type FileLink, type Links } from './links.ts';
import { createReconciler } from './reconciler.ts';
import type { FileObjects, FileRepository } from './repository.ts';
import { createUploads, type UploadClaims } from './uploads.ts';
import { type FileVerification, verifyFiles } from './verification.ts';

const ORPHAN_GRACE_MS = 3_600_000;
const SETTLE_MS = 50_000;
const SWEEP_MS = 1_800_000;
const DELETE_MS = 3000;

/** Dependencies of {@link createFileService}. */
export interface FileServiceOptions {
  readonly repository: FileRepository;
  readonly objects: FileObjects;
  readonly idempotency: Idempotency;
  /** Reads metadata through a cache, and evicts it. May retain stored files only. */
  readonly cache: {
    find(
      id: string,
      load: (signal: AbortSignal) => Promise<FileRecord | null>,
      caller: { readonly signal: AbortSignal },
    ): Promise<FileRecord | null>;
    forget(id: string): Promise<void>;
  };
  readonly sizeBytesMax: number;
  readonly timeoutMs: number;
  /** Whether a key is neither revoked nor expired, for downloads that take long. */
  readonly isKeyUsable: (keyId: string, signal: AbortSignal) => Promise<boolean>;
  /** Reports a stored file whose bytes are missing or damaged, for an operator. */
  readonly onDamaged: (file: StoredFile, found: string) => void;
}

/** Operations on files. All throw `AtlasError`. */
export interface FileService {
  /** Uploads a file through the API and stores it. */
  upload(
    owner: string,
    claims: UploadClaims,
    body: AsyncIterable<Uint8Array> | null,
    actor: Actor,
    signal: AbortSignal,
  ): Promise<Done<StoredFile>>;
  /** Starts an upload and returns a link that accepts exactly the declared bytes. */
  readonly initiateUpload: Links['initiateUpload'];
  /** Stores a file whose bytes were sent to its link. Safe to repeat. */
  complete(owner: string, id: string, actor: Actor, signal: AbortSignal): Promise<StoredFile>;
  find(owner: string, id: string, signal: AbortSignal): Promise<FileRecord>;
  /** Like {@link find}, but throws `file_incomplete` unless the file can be read. */
  findStored(owner: string, id: string, signal: AbortSignal): Promise<StoredFile>;
  list(
    owner: string,
    after: string | null,
    limit: number,
    signal: AbortSignal,
  ): Promise<{ files: StoredFile[]; next: string | null }>;
  /** Opens a range of the bytes; see {@link createDownloads}. */
  readonly read: Downloads['open'];
  delete(owner: string, id: string, actor: Actor, signal: AbortSignal): Promise<void>;
  /** Returns a link to download the file. */
  link(
    owner: string,
    id: string,
    actor: Actor,
    signal: AbortSignal,
    idempotencyKey?: string,
  ): Promise<Done<FileLink> & { readonly file: StoredFile }>;
  /** Receives bytes sent to a link of {@link initiateUpload}; only if links point to Atlas. */
  uploadByLink(
    key: string,
    query: URLSearchParams,
    body: AsyncIterable<Uint8Array> | null,
    signal: AbortSignal,
  ): Promise<void>;
  /** Opens a link of {@link link}; only if links point to Atlas. */
  readonly openLink: Links['openDownload'];
  /** Whether links point to Atlas, which then has to serve them. */
  readonly servesLinks: boolean;
  readonly stats: FileStats;
  /** Ends the uploads of processes that have exited, so that they do not count against their owners. */
  endLost(): Promise<void>;
  /** Runs {@link Reconciler.settle}. */
  settle(): Promise<void>;
  /** Runs {@link Reconciler.sweep}. Shorten `graceMs` only if nothing else is running. */
  sweep(graceMs?: number): Promise<void>;
  verify(deep: boolean, signal: AbortSignal, graceMs?: number): Promise<FileVerification>;
}

export function createFileService(options: FileServiceOptions): FileService {
  const { repository, objects, idempotency, cache, sizeBytesMax, timeoutMs, isKeyUsable } = options;
  const stats = createFileStats();
  const uploads = createUploads(repository, objects, stats, idempotency);
  const links = createLinks({ repository, objects, uploads, idempotency, sizeBytesMax });
  const onCorrupt = (file: StoredFile, error: Error) => options.onDamaged(file, error.message);
  const downloads = createDownloads({ repository, objects, stats, timeoutMs, isKeyUsable, onCorrupt });
  const reconciler = createReconciler({ ...options, stats });

  /** The only read of metadata on behalf of a caller. */
  async function find(owner: string, id: string, signal: AbortSignal): Promise<FileRecord> {
    const file = await cache.find(id, (loading) => repository.find(id, loading), { signal });
    // The response must not reveal that another owner has such a file.
    if (file === null || file.owner !== owner) throw fileNotFound(id);
    return file;
  }

  async function findStored(owner: string, id: string, signal: AbortSignal): Promise<StoredFile> {
    return requireStored(await find(owner, id, signal));
  }

  return {
    stats,
    servesLinks: links.areServedHere,
    upload: (owner, ...rest) => uploads.upload({ owner, link: null }, ...rest),
    initiateUpload: links.initiateUpload,
    complete: async (owner, id, actor, signal) =>
      uploads.complete(await find(owner, id, signal), actor, signal),
    find,
    findStored,
    async list(owner, after, limit, signal) {
      const files = await repository.list(owner, after, limit + 1, signal);
      const page = files.slice(0, limit);
      return { files: page, next: files.length > limit ? page.at(-1)!.id : null };
    },
    read: downloads.open,
    async delete(owner, id, actor, signal) {
      // Nobody evicts the files of others.
      await find(owner, id, signal);
      try {
        if (!(await repository.delete(owner, id, actor, signal))) throw fileNotFound(id);
      } finally {
        // Even if a response was lost, now or last time: the file may be deleted nevertheless.
        await cache.forget(id);
      }
      await removeObject(options, id);
    },
    async link(owner, id, actor, signal, key) {
      const file = await findStored(owner, id, signal);
      return { ...(await links.toDownload(file, actor, signal, key)), file };
    },
    uploadByLink: links.receiveUpload,
    openLink: links.openDownload,
    endLost: once(() => repository.endLost()),
    settle: once(() => reconciler.settle(AbortSignal.timeout(SETTLE_MS))),
    sweep: once((graceMs = ORPHAN_GRACE_MS) => reconciler.sweep(graceMs, AbortSignal.timeout(SWEEP_MS))),
    verify: (deep, signal, graceMs = ORPHAN_GRACE_MS) =>
      verifyFiles({ repository, objects }, { deep, graceMs }, signal),
  };
}

/** Never rejects: a file is deleted once its row says so, and the reconciler does what cannot be done now. */
async function removeObject(
  { repository, objects }: Pick<FileServiceOptions, 'repository' | 'objects'>,
  id: string,
): Promise<void> {
  try {
    await objects.delete(objectKeyOf(await repository.realm(), id), AbortSignal.timeout(DELETE_MS));
    await repository.forget(id);
  } catch {
    // The row remains, and marks the object for deletion.
  }
}

/** Keeps scheduled work from overlapping itself. */
function once<A extends unknown[]>(work: (...args: A) => Promise<void>): (...args: A) => Promise<void> {
  let running: Promise<void> | null = null;
  return (...args) => {
    running ??= work(...args).finally(() => {
      running = null;
    });
    return running;
  };
}
