import { AtlasError, type ErrorCode } from '../../../errors.ts';
import type { PostRequest, PostResult } from '../movement.ts';

/** Rises with each change of what a request or its result means. Workers with another one post directly. */
export const COMMIT_PROTOCOL = 4;

/** A frame to the committer. An empty one asks whether it is responsive. */
export interface ToCommitter {
  readonly posts: readonly (readonly [id: number, request: PostRequest])[];
  /** Requests whose caller has left. They are not posted, unless their batch is sealed. */
  readonly leaves: readonly number[];
}

/** A frame from the committer, in any order. An empty one shows that it is responsive. */
export interface FromCommitter {
  readonly results: readonly (readonly [id: number, result: PostResult])[];
  readonly errors: readonly (readonly [id: number, error: WireError])[];
}

/** An error as it is sent. Without a code it is an unexpected one. */
export interface WireError {
  readonly code?: ErrorCode;
  readonly message: string;
  readonly retryAfterSeconds?: number | undefined;
  readonly stack?: string | undefined;
  /** For the log of the worker that gets it: the text of the cause, and what an operator must do. */
  readonly cause?: string | undefined;
  readonly remedy?: string | undefined;
}

// Larger frames save nothing, and one has to arrive before any of its requests is posted.
const FRAME_CHARS = 256 * 1024;

export const EMPTY_TO_COMMITTER = JSON.stringify({ posts: [], leaves: [] } satisfies ToCommitter);
export const EMPTY_FROM_COMMITTER = JSON.stringify({ results: [], errors: [] } satisfies FromCommitter);

/** Distributes JSON texts over arrays, so that each frame has a moderate size or holds a single text. */
export function packJson(texts: readonly string[]): string[] {
  const arrays: string[] = [];
  let taken: string[] = [];
  let chars = 0;
  for (const text of texts) {
    if (taken.length > 0 && chars + text.length > FRAME_CHARS) {
      arrays.push(`[${taken}]`);
      taken = [];
      chars = 0;
    }
    taken.push(text);
    chars += text.length;
  }
  if (taken.length > 0) arrays.push(`[${taken}]`);
  return arrays;
}

export function toWire(error: unknown): WireError {
  if (error instanceof AtlasError) {
    const { code, message, retryAfterSeconds, cause, remedy } = error;
    return {
      code,
      message,
      retryAfterSeconds,
      cause: cause instanceof Error ? cause.message : undefined,
      remedy,
    };
  }
  return error instanceof Error ? { message: error.message, stack: error.stack } : { message: String(error) };
}

export function fromWire({ code, message, retryAfterSeconds, stack, cause, remedy }: WireError): Error {
  if (code === undefined) return Object.assign(new Error(message), stack === undefined ? {} : { stack });
  return new AtlasError(code, message, {
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    ...(cause !== undefined && { cause: new Error(cause) }),
    ...(remedy !== undefined && { remedy }),
  });
}
