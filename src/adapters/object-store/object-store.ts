import { AtlasError } from '../../errors.ts';

/** Metadata of an object. */
export interface StoredObject {
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
}

/** The only bytes that an upload link accepts. `sha256` is hexadecimal. */
export interface PromisedBytes {
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly mediaType: string;
}

/** What a link of {@link ObjectLinks} permits. */
export type OpenedLink =
  | ({ readonly method: 'PUT'; readonly key: string } & PromisedBytes)
  | {
      readonly method: 'GET';
      readonly key: string;
      readonly disposition: string;
      readonly mediaType: string;
    };

/** Verifies the links of a store whose links lead to Atlas. */
export interface ObjectLinks {
  /**
   * Returns what the link permits. Throws `link_invalid` if it expired, was altered, or is for another method or key.
   */
  open(method: string, key: string, query: URLSearchParams): Promise<OpenedLink>;
}

/**
 * Stores bytes under keys, in S3 or in a directory. Keys are 1 to 200 characters of `[a-z0-9/-]`; any other key is a
 * programming error. Every method throws `dependency_unavailable` if the store is unavailable or full, and
 * `deadline_exceeded` if it is too slow or the signal aborts.
 */
export interface ObjectStore {
  readonly mode: 'directory' | 's3';
  /** Throws if objects cannot be stored now, without storing one. Null if calls to the store are probed instead. */
  readonly check: (() => Promise<void>) | null;
  /** Null if links lead to the store itself. */
  readonly links: ObjectLinks | null;
  /**
   * Stores the bytes of the body. Once this resolves the object is complete and durable; it is never visible in part.
   * If this throws there is no object, unless only the last response was lost, so callers delete the key after an
   * error. An error of the body, such as a digest that does not match at its end, aborts the upload and is rethrown.
   * Each chunk is copied before the next one is requested.
   */
  put(
    key: string,
    body: AsyncIterable<Uint8Array>,
    options: { readonly mediaType: string; readonly signal: AbortSignal },
  ): Promise<{ readonly sizeBytes: number }>;
  /**
   * Returns the bytes from `first` to `last`, both inclusive, or to the end; null if there is no object. All bytes are
   * of one version of the object, in chunks of `CHUNK_BYTES` (the last may be shorter) that the reader owns. The stream
   * reads ahead by one piece at most; read it to its end or cancel it to release its resources. The bytes are not
   * verified: callers that need to detect corruption compare a digest.
   */
  get(
    key: string,
    options: { readonly first?: number; readonly last?: number; readonly signal: AbortSignal },
  ): Promise<ReadableStream<Uint8Array> | null>;
  head(key: string, signal?: AbortSignal): Promise<StoredObject | null>;
  /** Does nothing if there is no object. */
  delete(key: string, signal?: AbortSignal): Promise<void>;
  /** Lists the objects whose keys start with the prefix, in no particular order, a bounded number at a time. */
  list(prefix: string, signal?: AbortSignal): AsyncIterable<StoredObject & { readonly key: string }>;
  /** Aborts the unfinished uploads under the prefix that started before the time. Returns their number. */
  abortUploads(prefix: string, before: Date, signal?: AbortSignal): Promise<number>;
  /**
   * Returns a link to upload exactly these bytes without credentials, by PUT with these headers. A link of the
   * directory store is a path of Atlas; a link of S3 is a URL of the store.
   */
  presignPut(
    key: string,
    what: PromisedBytes,
    expiresSeconds: number,
  ): Promise<{ readonly url: string; readonly headers: Readonly<Record<string, string>> }>;
  /** Returns a link to download the object without credentials, by GET. */
  presignGet(
    key: string,
    what: { readonly disposition: string; readonly mediaType: string },
    expiresSeconds: number,
  ): Promise<{ readonly url: string }>;
}

/** The longest lifetime of a link that S3 allows. */
export const LINK_SECONDS_MAX = 604_800;

const KEY = /^[a-z0-9-]+(?:\/[a-z0-9-]+)*$/;
const KEY_LENGTH_MAX = 200;
const RETRY_AFTER_SECONDS = 1;
// An operator needs longer than a connection that is opened again.
const FULL_RETRY_AFTER_SECONDS = 10;

/** Returns the key. Throws if it is invalid: it could escape the folder, or not be a file name. */
export function requireKey(key: string): string {
  if (key.length > KEY_LENGTH_MAX || !KEY.test(key))
    throw new TypeError(`invalid object key: ${JSON.stringify(key)}`);
  return key;
}

/** The error while the store is unreachable. */
export function storeUnavailable(cause?: unknown): AtlasError {
  return new AtlasError('dependency_unavailable', 'The object store cannot be reached.', {
    cause,
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}

/** The error while the store has no room for more objects. */
export function storeFull(cause?: unknown): AtlasError {
  return new AtlasError('dependency_unavailable', 'The object store is full.', {
    cause,
    retryAfterSeconds: FULL_RETRY_AFTER_SECONDS,
    remedy: 'Delete files, or give ATLAS_DATA_DIR a larger disk, or set S3_ENDPOINT.',
  });
}

/** The error when the store did not respond in time, or the caller stopped waiting. */
export function storeTooSlow(cause?: unknown): AtlasError {
  return new AtlasError('deadline_exceeded', 'The object store did not respond in time.', { cause });
}
