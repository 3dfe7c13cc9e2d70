import { AtlasError } from '../../errors.ts';
import {
  type FileRecord,
  type FileStats,
  fileIncomplete,
  fileNotFound,
  type InitiatedUpload,
  isStored,
  objectKeyOf,
  objectPrefixOf,
  type StoredFile,
} from './domain.ts';
import { createDownloads, type Downloads } from './downloads.ts';
import { attachmentOf } from './file-name.ts';
import { createReconciler } from './reconciler.ts';
import type { FileObjects, FileRepository } from './repository.ts';
import { createUploads, tooManyUploads, UPLOADS_OF_OWNER_MAX, type UploadClaims } from './uploads.ts';
import { type FileVerification, verifyFiles } from './verification.ts';

const UPLOAD_LINK_SECONDS = 3600;
const DOWNLOAD_LINK_SECONDS = 300;
// Time to complete what came just before its link expired.
const COMPLETE_SECONDS = 600;
const ORPHAN_GRACE_MS = 3_600_000;
const SETTLE_MS = 50_000;
const SWEEP_MS = 1_800_000;
const DELETE_MS = 3000;

/** A link that somebody without a key can follow until it expires. */
export interface FileLink {
  readonly url: string;
  readonly expiresAt: string;
}

/** What the service needs from outside. */
export interface FileServiceOptions {
  readonly repository: FileRepository;
  readonly objects: FileObjects;
  /** Reads a file through what is known of it already, and forgets that; only a stored file may be kept. */
  readonly known: {
    find(
      id: string,
      load: (signal: AbortSignal) => Promise<FileRecord | null>,
      signal: AbortSignal,
    ): Promise<FileRecord | null>;
    forget(id: string): Promise<void>;
  };
  readonly sizeBytesMax: number;
  readonly timeoutMs: number;
  /** Told of a stored file whose bytes are not what they were, for an operator. */
  readonly onDamaged: (file: StoredFile, found: string) => void;
}

/** The verbs of files. All throw `AtlasError`. */
export interface FileService {
  /** Takes the bytes of a file and stores it. */
  upload(
    owner: string,
    claims: UploadClaims,
    body: AsyncIterable<Uint8Array> | null,
    signal: AbortSignal,
  ): Promise<StoredFile>;
  /** Makes a link to which exactly these bytes can be sent. */
  initiateUpload(
    owner: string,
    file: InitiatedUpload,
    signal: AbortSignal,
  ): Promise<{ file: FileRecord; upload: FileLink & { headers: Readonly<Record<string, string>> } }>;
  /** Stores a file whose bytes came by its link. Safe to repeat. */
  complete(owner: string, id: string, signal: AbortSignal): Promise<StoredFile>;
  find(owner: string, id: string, signal: AbortSignal): Promise<FileRecord>;
  /** Like {@link find}, for a file that can be read. */
  findStored(owner: string, id: string, signal: AbortSignal): Promise<StoredFile>;
  list(
    owner: string,
    after: string | null,
    limit: number,
    signal: AbortSignal,
  ): Promise<{ files: StoredFile[]; next: string | null }>;
  /** The bytes of a range; see {@link createDownloads}. */
  readonly read: Downloads['open'];
  delete(owner: string, id: string, signal: AbortSignal): Promise<void>;
  /** Makes a link with which the file can be downloaded. */
  link(owner: string, id: string, signal: AbortSignal): Promise<FileLink & { file: StoredFile }>;
  /** Takes bytes by a link of {@link initiateUpload}; only where links lead to Atlas. */
  uploadByLink(
    key: string,
    query: URLSearchParams,
    body: AsyncIterable<Uint8Array> | null,
    signal: AbortSignal,
  ): Promise<void>;
  /** The file of a link of {@link link}; only where links lead to Atlas. */
  openLink(key: string, query: URLSearchParams, signal: AbortSignal): Promise<StoredFile>;
  /** Whether links lead to Atlas, which then has to serve them. */
  readonly servesLinks: boolean;
  readonly stats: FileStats;
  /** The work of the reconciler. `graceMs` is for those who know that nothing else runs. */
  settle(): Promise<void>;
  sweep(graceMs?: number): Promise<void>;
  verify(deep: boolean, signal: AbortSignal, graceMs?: number): Promise<FileVerification>;
}

export function createFileService(options: FileServiceOptions): FileService {
  const { repository, objects, known, sizeBytesMax, timeoutMs } = options;
  const stats: FileStats = {
    uploadsInFlight: 0,
    downloadsInFlight: 0,
    bytesIn: 0,
    bytesOut: 0,
    uploads: { complete: 0, failed: 0 },
    downloads: { complete: 0, cut: 0 },
    refusedTypes: 0,
    corruptChunks: 0,
    damagedObjects: 0,
    reconciled: { expired: 0, deleted: 0, orphans: 0, aborted: 0 },
  };
  const uploads = createUploads(repository, objects, stats);
  const downloads = createDownloads({
    repository,
    objects,
    stats,
    timeoutMs,
    onCorrupt: (file, error) => options.onDamaged(file, error.message),
  });
  const reconciler = createReconciler({ ...options, stats });

  /** The one place where what is known of a file is read for a caller. */
  async function find(owner: string, id: string, signal: AbortSignal): Promise<FileRecord> {
    const file = await known.find(id, (loading) => repository.find(id, loading), signal);
    // That a file of somebody else exists is nobody's business.
    if (file === null || file.owner !== owner) throw fileNotFound(id);
    return file;
  }

  async function findStored(owner: string, id: string, signal: AbortSignal): Promise<StoredFile> {
    return requireStored(await find(owner, id, signal));
  }

  /** The file of a key, whoever owns it. The key came with a signature. */
  async function findByKey(key: string, signal: AbortSignal): Promise<FileRecord> {
    const prefix = objectPrefixOf(await repository.realm());
    const id = key.slice(prefix.length);
    const file = key.startsWith(prefix) ? await repository.find(id, signal) : null;
    if (file === null) throw fileNotFound(id);
    return file;
  }

  const open = async (method: string, key: string, query: URLSearchParams) => {
    if (objects.links === null) throw new AtlasError('link_invalid', 'Links lead to the object store.');
    return objects.links.open(method, key, query);
  };

  return {
    stats,
    servesLinks: objects.links !== null,
    upload: uploads.take,
    async initiateUpload(owner, announced, signal) {
      const { name, mediaType, sizeBytes, sha256 } = announced;
      if (sizeBytes > sizeBytesMax)
        throw new AtlasError('body_too_large', `A file may have ${sizeBytesMax} bytes.`);
      const id = Bun.randomUUIDv7();
      const seconds = UPLOAD_LINK_SECONDS + COMPLETE_SECONDS;
      const row = { id, owner, name, mediaType, sizeBytes, sha256 };
      const file = await repository.begin(row, seconds, UPLOADS_OF_OWNER_MAX, signal);
      if (file === null) throw tooManyUploads();
      const key = objectKeyOf(await repository.realm(), id);
      const expiresAt = secondsFromNow(UPLOAD_LINK_SECONDS);
      const link = await objects.presignPut(key, { sizeBytes, sha256, mediaType }, UPLOAD_LINK_SECONDS);
      return { file, upload: { ...link, expiresAt } };
    },
    complete: async (owner, id, signal) => uploads.complete(await find(owner, id, signal), signal),
    find,
    findStored,
    async list(owner, after, limit, signal) {
      const files = await repository.list(owner, after, limit + 1, signal);
      const page = files.slice(0, limit);
      return { files: page, next: files.length > limit ? page.at(-1)!.id : null };
    },
    read: downloads.open,
    async delete(owner, id, signal) {
      try {
        if (!(await repository.delete(owner, id, signal))) throw fileNotFound(id);
      } finally {
        // Also where the answer was lost, now or the last time: the file may be gone all the same.
        await known.forget(id);
      }
      await removeObject(id);
    },
    async link(owner, id, signal) {
      const file = await findStored(owner, id, signal);
      const { name, mediaType } = file;
      const expiresAt = secondsFromNow(DOWNLOAD_LINK_SECONDS);
      const key = objectKeyOf(await repository.realm(), id);
      const what = { disposition: attachmentOf(name), mediaType };
      return { file, expiresAt, ...(await objects.presignGet(key, what, DOWNLOAD_LINK_SECONDS)) };
    },
    async uploadByLink(key, query, body, signal) {
      const link = await open('PUT', key, query);
      const file = await findByKey(key, signal);
      if (link.method !== 'PUT' || file.sha256 !== link.sha256 || isStored(file))
        throw new AtlasError('link_invalid', 'Nothing is expected at this link any more.');
      await uploads.takeAnnounced(file, body, signal);
    },
    async openLink(key, query, signal) {
      await open('GET', key, query);
      return requireStored(await findByKey(key, signal));
    },
    settle: once(() => reconciler.settle(AbortSignal.timeout(SETTLE_MS))),
    sweep: once((graceMs = ORPHAN_GRACE_MS) => reconciler.sweep(graceMs, AbortSignal.timeout(SWEEP_MS))),
    verify: (deep, signal, graceMs = ORPHAN_GRACE_MS) =>
      verifyFiles({ repository, objects }, { deep, graceMs }, signal),
  };

  /** Deleting is done once the row says so: what is not possible now is done by the reconciler. */
  async function removeObject(id: string): Promise<void> {
    try {
      await objects.delete(objectKeyOf(await repository.realm(), id), AbortSignal.timeout(DELETE_MS));
      await repository.forget(id);
    } catch {
      // The row stays as it is, and says that the object has to go.
    }
  }
}

function requireStored(file: FileRecord): StoredFile {
  if (!isStored(file)) throw fileIncomplete(file.id);
  return file;
}

function secondsFromNow(seconds: number): string {
  return new Date(Date.now() + seconds * 1000).toISOString();
}

/** Keeps work that is started by the clock from running twice at a time. */
function once<A extends unknown[]>(work: (...args: A) => Promise<void>): (...args: A) => Promise<void> {
  let running: Promise<void> | null = null;
  return (...args) => {
    running ??= work(...args).finally(() => {
      running = null;
    });
    return running;
  };
}
