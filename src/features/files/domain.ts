import { AtlasError } from '../../errors.ts';

/** Bytes that are hashed, checked and delivered together. The constraints of the table `files` know it too. */
export const CHUNK_BYTES = 1_048_576;
export const DIGEST_BYTES = 32;
/** The largest file that comes by a link: what one PUT to S3 takes. */
export const LINK_BYTES_MAX = 5_368_709_120;

/** What is known of a file of an owner, in whatever state. */
export interface FileRecord {
  readonly id: string;
  readonly owner: string;
  readonly state: 'uploading' | 'stored';
  /** For people only. Never part of a key or a path. */
  readonly name: string;
  readonly mediaType: string;
  /** Null while the bytes come straight to Atlas. */
  readonly sizeBytes: number | null;
  /** Hexadecimal. Null while the bytes come straight to Atlas. */
  readonly sha256: string | null;
  /** RFC 3339, UTC. */
  readonly createdAt: string;
}

/** A file whose bytes are there. Nothing of it changes any more until it is deleted. */
export interface StoredFile extends FileRecord {
  readonly state: 'stored';
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** What somebody says beforehand about bytes that go to the object store by a link. */
export interface InitiatedUpload {
  readonly name: string;
  readonly mediaType: string;
  readonly sizeBytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** What the bytes were, once all of them came by. */
export interface Digests {
  readonly sizeBytes: number;
  readonly sha256: Uint8Array;
  /** The SHA-256 of each chunk, one after the other. */
  readonly chunks: Uint8Array;
}

export function isStored(file: FileRecord): file is StoredFile {
  return file.state === 'stored';
}

export function fileNotFound(id: string): AtlasError {
  return new AtlasError('file_not_found', `You have no file ${id}.`);
}

export function fileIncomplete(id: string): AtlasError {
  return new AtlasError('file_incomplete', `The bytes of file ${id} have not been confirmed.`);
}

export function checksumMismatch(detail: string): AtlasError {
  return new AtlasError('checksum_mismatch', detail);
}

/** What a transfer that was given up threw, as an error that is nobody's fault. */
export function asGivenUp(error: unknown, signal: AbortSignal): unknown {
  if (!signal.aborted || error instanceof AtlasError) return error;
  return new AtlasError('request_aborted', 'The transfer was given up: too late, or the caller went away.', {
    cause: error,
  });
}

/** What this process has done with files since its start. */
export interface FileStats {
  uploadsInFlight: number;
  downloadsInFlight: number;
  bytesIn: number;
  bytesOut: number;
  readonly uploads: { complete: number; failed: number };
  readonly downloads: { complete: number; cut: number };
  refusedTypes: number;
  corruptChunks: number;
  /** Stored files whose object was looked for and not found, or is of another size. */
  damagedObjects: number;
  readonly reconciled: { expired: number; deleted: number; orphans: number; aborted: number };
}

/** Where the bytes of a file are in the object store. */
export function objectKeyOf(realm: string, id: string): string {
  return `${objectPrefixOf(realm)}${id}`;
}

/** Begins the keys of all files of a database. */
export function objectPrefixOf(realm: string): string {
  return `files/${realm}/`;
}
