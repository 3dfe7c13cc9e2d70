import type { ProblemKinds } from './problem-kind.ts';

/** Problems of HTTP itself and of the pipeline, which any route can return. Features declare their own. */
export const httpProblems = {
  invalid_request: {
    status: 400,
    title: 'Invalid request',
    cause:
      'A header, parameter, or member of the body is missing, unknown, repeated, rounded, or out of bounds.',
    remedy:
      'Read `errors`: each entry points to one mistake and says what is allowed. The schemas are in /openapi.json.',
    errors: [{ pointer: '/amount', detail: 'must be at least 1' }],
  },
  malformed_json: {
    status: 400,
    title: 'Malformed JSON',
    cause:
      'The body is not valid JSON in UTF-8 without a byte order mark, or a string in it contains NUL or an unpaired surrogate.',
    remedy: 'Send the output of a JSON serializer, encoded as UTF-8.',
  },
  body_missing: {
    status: 400,
    title: 'Missing request body',
    cause: 'The route requires a body and none was sent.',
    remedy: 'Send a JSON object with Content-Type: application/json; to upload a file, send its bytes.',
  },
  body_too_large: {
    status: 413,
    title: 'Request body too large',
    cause: 'The body is larger than the route allows.',
    remedy: 'Send less per request, for example a smaller batch.',
  },
  body_too_deep: {
    status: 400,
    title: 'JSON nested too deeply',
    cause: 'Objects and arrays in the body are nested deeper than the limit.',
    remedy: 'Send flatter JSON. No schema of Atlas needs more than a few levels.',
  },
  body_stalled: {
    status: 408,
    title: 'Request body timed out',
    cause:
      'The body did not begin within 10 seconds, or then arrived so slowly for half a minute that Atlas stopped waiting for the rest.',
    remedy: 'Send the body right after the headers, over a connection that sustains at least 1 KB/s.',
  },
  unsupported_media_type: {
    status: 415,
    title: 'Unsupported media type',
    cause:
      'The Content-Type header is missing or is not one the route accepts, or the body has a Content-Encoding.',
    remedy: 'Send Content-Type: application/json, and the body as it is, not compressed.',
  },
  invalid_host: {
    status: 400,
    title: 'Invalid Host header',
    cause: 'The Host header is missing, repeated, or contains more than a name and a port.',
    remedy: 'Send exactly one Host header with a name and, if needed, a port.',
  },
  unauthenticated: {
    status: 401,
    title: 'Authentication required',
    cause: 'The request has no API key or session, or it is unknown, revoked, or expired.',
    remedy:
      'Send Authorization: Bearer atlas_live_… with a key created by `atlas key create`, or sign in: POST /v1/sessions.',
  },
  forbidden: {
    status: 403,
    title: 'Insufficient scope',
    cause: 'The API key or session is valid but does not have the scope that the route requires.',
    remedy:
      'Use a key with the scope named in `detail`: `atlas key create --scopes` creates one. What a session may do depends on the role of its user.',
  },
  organization_suspended: {
    status: 403,
    title: 'Organization suspended',
    cause: 'The operator of this Atlas has suspended the organization. Its data is kept.',
    remedy: 'Ask the operator to reinstate the organization.',
  },
  not_found: {
    status: 404,
    title: 'Route not found',
    cause: 'No route matches this path.',
    remedy: 'Check the path. All routes are listed in /openapi.json.',
  },
  method_not_allowed: {
    status: 405,
    title: 'Method not allowed',
    cause: 'The path exists but does not support this method.',
    remedy: 'Use one of the methods listed in the Allow header.',
  },
  idempotency_key_in_progress: {
    status: 409,
    title: 'Request with this Idempotency-Key in progress',
    cause: 'A retry arrived before the first request with the same key had finished.',
    remedy: 'Wait for the number of seconds in Retry-After, then send the same request with the same key.',
  },
  idempotency_key_reused: {
    status: 422,
    title: 'Idempotency-Key reused',
    cause:
      'The key was already used for a request with a different path or body, or the response contains a secret of another caller.',
    remedy: 'Use a new key for each new request, and send retries unchanged.',
  },
  precondition_failed: {
    status: 412,
    title: 'Precondition failed',
    cause: 'The If-Match header names a version that is no longer current.',
    remedy: 'Read the resource again, reapply your change, and send its new ETag in If-Match.',
  },
  precondition_required: {
    status: 428,
    title: 'If-Match header required',
    cause: 'An update without If-Match could overwrite a concurrent change.',
    remedy: 'Send the ETag you read in If-Match.',
  },
  overloaded: {
    status: 429,
    title: 'Atlas is overloaded',
    cause:
      'Atlas, or a resource this route needs, has more work than it can finish in time; `detail` says which. This is not a quota on your key.',
    remedy:
      'Wait for the number of seconds in Retry-After and retry; reusing the Idempotency-Key makes that safe. Mark requests that can wait with Priority: u=7.',
  },
  quota_exceeded: {
    status: 429,
    title: 'Quota exceeded',
    cause:
      'The API key, or its organization, has made more requests than its quota allows; `detail` and `RateLimit-Policy` say which. Atlas itself is not overloaded.',
    remedy:
      'Wait for the number of seconds in Retry-After and retry; reusing the Idempotency-Key makes that safe. Spread requests evenly, or have the operator of this Atlas raise the quota.',
  },
  request_aborted: {
    status: 499,
    title: 'Client closed request',
    cause: 'The connection was closed before the response was ready.',
    remedy: 'Nothing was done. Retry with the same Idempotency-Key.',
  },
  dependency_unavailable: {
    status: 503,
    title: 'Dependency unavailable',
    cause:
      'PostgreSQL, or for files the object store, is not responding, is starting or stopping, or lacks what only an operator can set up.',
    remedy:
      'Wait for the number of seconds in Retry-After and retry; reusing the Idempotency-Key makes that safe.',
  },
  secrets_key_missing: {
    status: 503,
    title: 'No key for secrets',
    cause: 'The request creates a secret, and this Atlas has no key to store it sealed.',
    remedy: 'The operator of this Atlas has to set SECRETS_KEY. Retry after that.',
  },
  deadline_exceeded: {
    status: 504,
    title: 'Deadline exceeded',
    cause: 'The response was not ready within the time that the caller or the route allows.',
    remedy: 'The request may still take effect. Retry with the same Idempotency-Key to learn the result.',
  },
  deadline_too_short: {
    status: 504,
    title: 'Deadline too short',
    cause: 'The caller allows less time than the current median response time of this route.',
    remedy: 'Nothing was done. Allow more time, or retry later.',
  },
  internal: {
    status: 500,
    title: 'Internal error',
    cause: 'An unexpected error occurred. It was logged under the request ID.',
    remedy: 'Retry. If the error persists, report the request ID to the operator of this Atlas.',
  },
} as const satisfies ProblemKinds;

declare module '../errors.ts' {
  interface ErrorCodes extends Record<keyof typeof httpProblems, true> {}
}
