import { AtlasError } from '../../errors.ts';

export const DIGEST_BYTES = 32;
/** The largest file that can be uploaded to a link: the limit of one PUT to S3. */
export const LINK_BYTES_MAX = 5_368_709_120;

/** The metadata of a file, in any state. */
export interface FileRecord {
  readonly id: string;
  readonly owner: string;
  readonly state: 'uploading' | 'stored';
  /** For display only. Never part of a key or a path. */
  readonly name: string;
  readonly mediaType: string;
  /** Null while the bytes are being uploaded through the API. */
  readonly sizeBytes: number | null;
  /** Hexadecimal. Null while the bytes are being uploaded through the API. */
  readonly sha256: string | null;
  /** RFC 3339, UTC. */
  readonly createdAt: string;
}

/** A file whose bytes are stored. Immutable until it is deleted. */
export interface StoredFile extends FileRecord {
  readonly state: 'stored';
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** What a caller declares about bytes before sending them to a link. */
export interface InitiatedUpload {
  readonly name: string;
  readonly mediaType: string;
  readonly sizeBytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** Size and digests of bytes that have been read to their end. */
export interface Digests {
  readonly sizeBytes: number;
  readonly sha256: Uint8Array;
  /** The SHA-256 of each chunk, concatenated. */
  readonly chunks: Uint8Array;
}

export function isStored(file: FileRecord): file is StoredFile {
  return file.state === 'stored';
}

/** Throws `file_incomplete` unless the bytes of the file are stored. */
export function requireStored(file: FileRecord): StoredFile {
  if (!isStored(file)) throw fileIncomplete(file.id);
  return file;
}

export function fileNotFound(id: string): AtlasError {
  return new AtlasError('file_not_found', `File ${id} does not exist.`);
}

export function fileIncomplete(id: string): AtlasError {
  return new AtlasError('file_incomplete', `The upload of file ${id} is not complete.`);
}

export function checksumMismatch(detail: string): AtlasError {
  return new AtlasError('checksum_mismatch', detail);
}

/** Returns the error to report for a failed transfer: once its signal has aborted, the store is not to blame. */
export function toTransferError(error: unknown, signal: AbortSignal): unknown {
  if (!signal.aborted || error instanceof AtlasError) return error;
  return new AtlasError('request_aborted', 'The upload or download timed out, or the client disconnected.', {
    cause: error,
  });
}

/** The limits on concurrent transfers, and the transfers that each has refused. */
export type SlotLimit = 'worker' | 'owner' | 'link';
export type SlotRefusals = Record<SlotLimit, number>;

/** Counters of this process since it started, and its transfers in flight. */
export interface FileStats {
  uploadsInFlight: number;
  downloadsInFlight: number;
  bytesIn: number;
  bytesOut: number;
  readonly uploads: { complete: number; failed: number };
  readonly downloads: { complete: number; cut: number };
  /** Transfers refused for lack of a slot, by limit. */
  readonly refused: { readonly uploads: SlotRefusals; readonly downloads: SlotRefusals };
  refusedTypes: number;
  corruptChunks: number;
  /** Checks of a stored file that found its object missing or of another size. */
  damagedObjects: number;
  readonly reconciled: { expired: number; deleted: number; orphans: number; aborted: number };
}

export function createFileStats(): FileStats {
  return {
    uploadsInFlight: 0,
    downloadsInFlight: 0,
    bytesIn: 0,
    bytesOut: 0,
    uploads: { complete: 0, failed: 0 },
    downloads: { complete: 0, cut: 0 },
    refused: { uploads: noRefusals(), downloads: noRefusals() },
    refusedTypes: 0,
    corruptChunks: 0,
    damagedObjects: 0,
    reconciled: { expired: 0, deleted: 0, orphans: 0, aborted: 0 },
  };
}

const noRefusals = (): SlotRefusals => ({ worker: 0, owner: 0, link: 0 });

/** The key of a file in the object store. */
export function objectKeyOf(realm: string, id: string): string {
  return `${objectPrefixOf(realm)}${id}`;
}

/** The prefix of the keys of all files of one database. */
export function objectPrefixOf(realm: string): string {
  return `files/${realm}/`;
}
