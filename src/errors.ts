/** One mistake in the input. `pointer` is a JSON pointer (RFC 6901) or the name of a header or parameter. */
export interface InputError {
  readonly pointer: string;
  readonly detail: string;
  /** The error code, if the entry describes an item of a batch. */
  readonly code?: string;
}

/**
 * Registry of error codes. `http/problems.ts` and the `problems.ts` of each feature add their codes to it, so a code
 * without a problem kind does not compile.
 */
// biome-ignore lint/suspicious/noEmptyInterface: filled by declaration merging
export interface ErrorCodes {}

/** Every way in which Atlas refuses or fails. */
export type ErrorCode = keyof ErrorCodes;

/** The parts of an error. `cause` and `remedy` are only logged; everything else is sent to the caller. */
export interface ErrorExtras {
  readonly errors?: readonly InputError[];
  readonly retryAfterSeconds?: number;
  /** Further members of the problem, as its page describes them. */
  readonly members?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
  /** What an operator must do, if only an operator can help. */
  readonly remedy?: string;
}

/**
 * An expected refusal or failure. `detail` is written for the caller and sent to it; `cause` and `remedy` are only
 * logged.
 *
 * @example throw new AtlasError('account_not_found', `Account ${id} does not exist.`);
 */
export class AtlasError extends Error {
  readonly code: ErrorCode;
  readonly errors: readonly InputError[] | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly members: Readonly<Record<string, unknown>> | undefined;
  readonly remedy: string | undefined;

  constructor(code: ErrorCode, detail: string, extras: ErrorExtras = {}) {
    super(detail, extras.cause === undefined ? undefined : { cause: extras.cause });
    this.name = 'AtlasError';
    this.code = code;
    this.errors = extras.errors;
    this.retryAfterSeconds = extras.retryAfterSeconds;
    this.headers = extras.headers;
    this.members = extras.members;
    this.remedy = extras.remedy;
  }
}
