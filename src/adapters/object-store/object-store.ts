import { AtlasError } from '../../errors.ts';

/** What a store knows of an object without reading it. */
export interface StoredObject {
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
}

/** The bytes that one upload link is for, and no others. `sha256` is hexadecimal. */
export interface PromisedBytes {
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly mediaType: string;
}

/** What a link of {@link ObjectLinks} allows its holder to do. */
export type OpenedLink =
  | ({ readonly method: 'PUT'; readonly key: string } & PromisedBytes)
  | {
      readonly method: 'GET';
      readonly key: string;
      readonly disposition: string;
      readonly mediaType: string;
    };

/** Reads the links of a store whose links lead to Atlas. */
export interface ObjectLinks {
  /** What the link allows. Throws `link_invalid` when it expired, was changed, or is for another method or key. */
  open(method: string, key: string, query: URLSearchParams): Promise<OpenedLink>;
}

/**
 * Bytes under keys, in S3 or in a folder. Keys are 1 to 200 of `[a-z0-9/-]`; other keys are a programmer's error.
 * Every method throws `dependency_unavailable` when the store cannot be reached or is full, and `deadline_exceeded`
 * when it is too slow or the signal aborted.
 */
export interface ObjectStore {
  readonly mode: 'directory' | 's3';
  /** Null where links lead to the store itself. */
  readonly links: ObjectLinks | null;
  /**
   * Stores the bytes of the body. The object is there, whole and durable, when this resolves, and never in part.
   * Where it throws there is no object, unless only the answer to the last step was lost: so whoever put a key then
   * deletes it. What the body throws ends the upload and is thrown on: whoever checks a digest does so at the end of
   * the body. A chunk is copied before the next one is asked for.
   */
  put(
    key: string,
    body: AsyncIterable<Uint8Array>,
    options: { readonly mediaType: string; readonly signal: AbortSignal },
  ): Promise<{ readonly sizeBytes: number }>;
  /**
   * The bytes from `first` to `last`, both included, or to the end of the object; null when there is no object. All
   * of one version of the object, in chunks of {@link CHUNK_BYTES} (the last one is shorter) that belong to the
   * reader. Read as fast as the stream is read, and at most one piece ahead. Read it to its end or cancel it: that
   * closes what it holds. The bytes are what the store has: whoever needs them to be the right ones compares a
   * digest.
   */
  get(
    key: string,
    options: { readonly first?: number; readonly last?: number; readonly signal: AbortSignal },
  ): Promise<ReadableStream<Uint8Array> | null>;
  head(key: string, signal?: AbortSignal): Promise<StoredObject | null>;
  /** Does nothing when there is no object. */
  delete(key: string, signal?: AbortSignal): Promise<void>;
  /** The objects whose keys start with the prefix, in no promised order, with a bounded number of them in memory. */
  list(prefix: string, signal?: AbortSignal): AsyncIterable<StoredObject & { readonly key: string }>;
  /** Ends uploads below the prefix that were begun before the time and have not ended; answers how many. */
  abortUploads(prefix: string, before: Date, signal?: AbortSignal): Promise<number>;
  /**
   * A link with which somebody who has no key of the store uploads exactly these bytes, by PUT with these headers. Of
   * the directory it is a path of Atlas, else a URL of the store.
   */
  presignPut(
    key: string,
    what: PromisedBytes,
    expiresSeconds: number,
  ): Promise<{ readonly url: string; readonly headers: Readonly<Record<string, string>> }>;
  /** A link with which somebody who has no key of the store downloads the object, by GET. */
  presignGet(
    key: string,
    what: { readonly disposition: string; readonly mediaType: string },
    expiresSeconds: number,
  ): Promise<{ readonly url: string }>;
}

/** Longest life of a link: what S3 allows. */
export const LINK_SECONDS_MAX = 604_800;

const KEY = /^[a-z0-9-]+(?:\/[a-z0-9-]+)*$/;
const KEY_LENGTH_MAX = 200;
const RETRY_AFTER_SECONDS = 1;

/** Throws for a key that no store takes: it could mean another path, or not be a name of a file. */
export function requireKey(key: string): string {
  if (key.length > KEY_LENGTH_MAX || !KEY.test(key))
    throw new TypeError(`not an object key: ${JSON.stringify(key)}`);
  return key;
}

/** What callers get while the store does not answer or takes nothing. */
export function storeUnavailable(cause?: unknown): AtlasError {
  return new AtlasError('dependency_unavailable', 'The object store cannot be reached.', {
    cause,
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}

/** What callers get when the store did not answer in time, or nobody waits any longer. */
export function storeTooSlow(cause?: unknown): AtlasError {
  return new AtlasError('deadline_exceeded', 'The object store did not answer in time.', { cause });
}
