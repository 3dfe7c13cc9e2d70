/** One thing wrong with the input. `pointer` is a JSON pointer (RFC 6901) or the name of a header or parameter. */
export interface InputError {
  readonly pointer: string;
  readonly detail: string;
  /** The code of a refusal, where the entry stands for an item of a batch. */
  readonly code?: string;
}

/** Every way in which Atlas refuses or fails. What a code means over HTTP stands in `http/problem.ts` only. */
export type ErrorCode =
  | 'invalid_request'
  | 'malformed_json'
  | 'body_missing'
  | 'body_too_large'
  | 'body_too_deep'
  | 'body_stalled'
  | 'unsupported_media_type'
  | 'invalid_host'
  | 'unauthenticated'
  | 'forbidden'
  | 'not_found'
  | 'method_not_allowed'
  | 'idempotency_key_in_progress'
  | 'idempotency_key_reused'
  | 'account_not_found'
  | 'account_id_taken'
  | 'transfer_not_found'
  | 'transfer_id_taken'
  | 'same_account'
  | 'unknown_account'
  | 'different_ledgers'
  | 'insufficient_funds'
  | 'balance_overflow'
  | 'batch_refused'
  | 'event_not_found'
  | 'too_many_streams'
  | 'webhook_not_found'
  | 'webhook_target_refused'
  | 'too_many_webhooks'
  | 'delivery_not_found'
  | 'precondition_failed'
  | 'precondition_required'
  | 'file_not_found'
  | 'file_incomplete'
  | 'file_type_refused'
  | 'file_corrupt'
  | 'checksum_mismatch'
  | 'range_not_satisfiable'
  | 'link_invalid'
  | 'overloaded'
  | 'queue_full'
  | 'request_aborted'
  | 'dependency_unavailable'
  | 'deadline_exceeded'
  | 'deadline_too_short'
  | 'internal';

/** What may travel with an error to the caller. Nothing else of an error does. */
export interface ErrorExtras {
  readonly errors?: readonly InputError[];
  readonly retryAfterSeconds?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/**
 * A refusal or failure that Atlas foresaw. `detail` is written for the caller and is sent to it; `cause` goes to the
 * log only.
 */
export class AtlasError extends Error {
  readonly code: ErrorCode;
  readonly errors: readonly InputError[] | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly headers: Readonly<Record<string, string>> | undefined;

  constructor(code: ErrorCode, detail: string, extras: ErrorExtras = {}) {
    super(detail, extras.cause === undefined ? undefined : { cause: extras.cause });
    this.name = 'AtlasError';
    this.code = code;
    this.errors = extras.errors;
    this.retryAfterSeconds = extras.retryAfterSeconds;
    this.headers = extras.headers;
  }
}
