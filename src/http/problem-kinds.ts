import type { ErrorCode } from '../errors.ts';

/** What a code means over HTTP, and what its page under `/problems/` says. */
export interface ProblemKind {
  readonly status: number;
  readonly title: string;
  readonly cause: string;
  readonly remedy: string;
}

const kind = (status: number, title: string, cause: string, remedy: string): ProblemKind => ({
  status,
  title,
  cause,
  remedy,
});

/** The one table from error codes to HTTP. */
export const PROBLEM_KINDS: Readonly<Record<ErrorCode, ProblemKind>> = {
  invalid_request: kind(
    400,
    'The request does not fit its schema',
    'A header, parameter or member of the body is missing, unknown or out of bounds.',
    'Read `errors`: each entry names the place and what is allowed there. The schemas are in /openapi.json.',
  ),
  malformed_json: kind(
    400,
    'The body is not valid JSON',
    'The body cannot be parsed as JSON in UTF-8 without a byte order mark, or a text in it holds NUL or half of a surrogate pair.',
    'Send what a JSON serialiser makes, encoded as UTF-8.',
  ),
  body_missing: kind(
    400,
    'The body is missing',
    'The route needs a JSON body and none was sent.',
    'Send a JSON object with Content-Type: application/json.',
  ),
  body_too_large: kind(
    413,
    'The body is too large',
    'The body is longer than the route allows.',
    'Send less at once, such as smaller batches.',
  ),
  body_too_deep: kind(
    400,
    'The body is nested too deeply',
    'Objects and arrays in the body are nested deeper than is allowed.',
    'Send flatter JSON. No schema of Atlas needs more than a few levels.',
  ),
  body_stalled: kind(
    408,
    'The body did not arrive in time',
    'So little of the body arrived for half a minute that waiting for the rest would keep others from their turn.',
    'Send it again over a connection that carries at least a kilobyte a second.',
  ),
  unsupported_media_type: kind(
    415,
    'The content type is not supported',
    'The Content-Type is missing or not one that the route reads.',
    'Send Content-Type: application/json.',
  ),
  invalid_host: kind(
    400,
    'The Host header is not valid',
    'The Host is missing, repeated, or holds more than a name and a port.',
    'Send exactly one Host header with a name and, if needed, a port.',
  ),
  unauthenticated: kind(
    401,
    'A valid API key is needed',
    'There is no API key in the request, or it is unknown, revoked or expired.',
    'Send Authorization: Bearer atlas_live_… with a key of `atlas key create`.',
  ),
  forbidden: kind(
    403,
    'The API key lacks a scope',
    'The key is valid but was not given the scope that the route needs.',
    'Use a key with the scope that `detail` names; `atlas key create --scopes` makes one.',
  ),
  not_found: kind(
    404,
    'There is nothing at this path',
    'No route has this path.',
    'Check the path. All routes are listed in /openapi.json.',
  ),
  method_not_allowed: kind(
    405,
    'The path does not know this method',
    'The path exists, for other methods.',
    'Use a method that the Allow header names.',
  ),
  idempotency_key_in_progress: kind(
    409,
    'The first request with this key is still running',
    'A retry arrived before the first request was answered.',
    'Wait for the seconds of Retry-After and send the same request with the same key.',
  ),
  idempotency_key_reused: kind(
    422,
    'The Idempotency-Key belongs to another request',
    'The key was used for a request with another method, path or body.',
    'Use a new key for a new request, and send retries unchanged.',
  ),
  account_not_found: kind(
    404,
    'There is no such account',
    'No account has this id.',
    'Check the id. GET /v1/accounts lists the accounts.',
  ),
  account_id_taken: kind(
    409,
    'The account id is taken',
    'An account with this id and other content exists.',
    'Use another id, or none to get one.',
  ),
  transfer_not_found: kind(
    404,
    'There is no such transfer',
    'No transfer has this id.',
    'Check the id. GET /v1/accounts/{id}/transfers lists the transfers of an account.',
  ),
  transfer_id_taken: kind(
    409,
    'The transfer id is taken',
    'A transfer with this id and other content exists, and a transfer never changes.',
    'Use another id, or none to get one.',
  ),
  same_account: kind(
    422,
    'Both sides are the same account',
    'A transfer moves money from one account to another.',
    'Use two different accounts.',
  ),
  unknown_account: kind(
    422,
    'The transfer names an account that does not exist',
    'The debit or the credit account is unknown.',
    'Create the account first: POST /v1/accounts.',
  ),
  different_ledgers: kind(
    422,
    'The accounts are on different ledgers',
    'A ledger holds one currency, and a transfer stays inside it.',
    'Transfer between accounts of one ledger. An exchange is two transfers.',
  ),
  insufficient_funds: kind(
    422,
    'The debit account has too little',
    'The balance of the debit account would fall below zero, and the account does not allow that.',
    'Send a smaller amount, or credit the account first.',
  ),
  balance_overflow: kind(
    422,
    'A balance would be too large',
    'The sum of debits or credits of an account would pass 9007199254740991 (2^53−1).',
    'Use another account.',
  ),
  batch_refused: kind(
    422,
    'The batch was refused as a whole',
    'The batch is atomic and at least one of its transfers was refused, so none was made.',
    'Read `errors`, mend or remove those transfers, and send the batch with a new key.',
  ),
  event_not_found: kind(
    404,
    'There is no such event',
    'No event of yours has this id or position.',
    'Start from an event that GET /v1/events lists, or without a cursor.',
  ),
  too_many_streams: kind(
    429,
    'Too many event streams are open',
    'This worker, or your key, holds as many open streams as it may.',
    'Close streams you do not need, or poll GET /v1/events. Try again after the seconds of Retry-After.',
  ),
  webhook_not_found: kind(
    404,
    'There is no such webhook',
    'No webhook of yours has this id.',
    'Check the id. GET /v1/webhooks lists yours.',
  ),
  webhook_target_refused: kind(
    422,
    'The target of the webhook is refused',
    'The URL is not https, or its host has an address that is not public.',
    'Use an https URL of a public host. Whoever runs this Atlas can allow others: WEBHOOKS_ALLOWED_HOSTS.',
  ),
  too_many_webhooks: kind(
    422,
    'There are too many webhooks',
    'You have as many webhooks as one owner may have.',
    'Delete one that you no longer need, or change it: PATCH /v1/webhooks/{id}.',
  ),
  delivery_not_found: kind(
    404,
    'There is no such delivery',
    'The webhook has no delivery with this id, or it is older than deliveries are kept.',
    'Check the id. GET /v1/webhooks/{id}/deliveries lists them.',
  ),
  precondition_failed: kind(
    412,
    'It has changed since you read it',
    'The If-Match header names another version than the one that is there.',
    'Read it again, apply your change to that, and send its ETag in If-Match.',
  ),
  precondition_required: kind(
    428,
    'The change needs an If-Match header',
    'Without the version that the change is made to, it could undo the change of somebody else.',
    'Send the ETag that you read in If-Match.',
  ),
  file_not_found: kind(
    404,
    'There is no such file',
    'No file of yours has this id, or it was deleted.',
    'Check the id. GET /v1/files lists your files.',
  ),
  file_incomplete: kind(
    409,
    'The file is not complete',
    'Its upload has not ended, or its bytes have not been confirmed.',
    'Upload the bytes to the link you were given, then complete the upload.',
  ),
  file_type_refused: kind(
    415,
    'Files of this type are refused',
    'The bytes are not of a type that is taken, or not of the type that was declared.',
    'Send one of the types that `detail` names, with the Content-Type that fits its bytes.',
  ),
  file_corrupt: kind(
    502,
    'The stored bytes are damaged',
    'What the object store returned does not match the checksum taken when the file was stored. Nothing of it is delivered.',
    'Report the id of the file to whoever runs this Atlas; restore the object from a backup or upload the file again.',
  ),
  checksum_mismatch: kind(
    422,
    'The bytes do not match their checksum',
    'The SHA-256 of what arrived is not the one that was announced.',
    'Send the file again; compute the checksum over the very bytes that are sent.',
  ),
  range_not_satisfiable: kind(
    416,
    'The range lies outside of the file',
    'The Range header asks for bytes that the file does not have.',
    'Ask for bytes below the size that Content-Range names.',
  ),
  link_invalid: kind(
    403,
    'The link is not valid',
    'The link has expired, was changed, or was made for another request.',
    'Ask for a new link.',
  ),
  overloaded: kind(
    429,
    'Atlas is full',
    'More is asked for than Atlas, or what this route needs, can serve in time; `detail` says which. This is not a quota of your key.',
    'Wait for the seconds of Retry-After and try again; the same Idempotency-Key makes that safe. What can wait may say so: Priority: u=7.',
  ),
  queue_full: kind(
    429,
    'The ledger is full',
    'As many transfers wait to be posted as the ledger lets wait. This is not a quota of your key.',
    'Wait for the seconds of Retry-After and try again with the same Idempotency-Key.',
  ),
  request_aborted: kind(
    499,
    'The caller went away',
    'The connection was closed before the answer was ready.',
    'Nothing was done. Send the request again, with the same Idempotency-Key.',
  ),
  dependency_unavailable: kind(
    503,
    'A service that Atlas needs cannot be reached',
    'PostgreSQL, or for files the object store, does not answer, or is starting or stopping.',
    'Wait for the seconds of Retry-After and try again; the same Idempotency-Key makes that safe.',
  ),
  deadline_exceeded: kind(
    504,
    'The deadline passed',
    'The answer was not ready in the time that the caller or the route allows.',
    'The request may still take effect. Send it again with the same Idempotency-Key to learn the result.',
  ),
  deadline_too_short: kind(
    504,
    'The deadline cannot be met',
    'The time that the caller allows is shorter than what half of the answers of this route take now.',
    'Nothing was done. Allow more time, or try again later.',
  ),
  internal: kind(
    500,
    'Something went wrong inside Atlas',
    'An error that Atlas did not foresee. It was logged under the request id.',
    'Try again. If it stays, report the request id to whoever runs this Atlas.',
  ),
};
