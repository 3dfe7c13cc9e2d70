import type { JsonFault } from '../envelope/scan-json.ts';
import { AtlasError } from '../errors.ts';
import type { Refusal } from '../shedding/decision.ts';
import { jsonPointerTo } from '../utils/json-pointer.ts';
import { prepareProblem } from './problem.ts';
import { httpProblems } from './problems.ts';

const JITTER_SECONDS = 3;

/** Creates the errors of the pipeline, whose layers do not depend on `AtlasError`. */
export const pipelineErrors = {
  deadlineExceeded: () =>
    new AtlasError(
      'deadline_exceeded',
      'The response was not ready in time. The request may still take effect.',
    ),
  invalidHost: () =>
    new AtlasError('invalid_host', 'Send exactly one Host header with a name and, if needed, a port.'),
  bodyTooLarge: (limitBytes: number) =>
    new AtlasError('body_too_large', `The maximum body size of this route is ${limitBytes} bytes.`),
  bodyEncoded: (encoding: string) =>
    new AtlasError(
      'unsupported_media_type',
      `Send the body without a Content-Encoding; the request has ${encoding.slice(0, 100)}.`,
      // Which encodings of a request would be accepted (RFC 9110, section 12.5.3).
      { headers: { 'Accept-Encoding': 'identity' } },
    ),
  bodyTooDeep: (depthMax: number) =>
    new AtlasError('body_too_deep', `The maximum nesting depth of JSON is ${depthMax}.`),
  jsonAltered: (membersMax: number) => {
    const details: Readonly<Record<JsonFault['kind'], string>> = {
      deep: 'is nested too deeply',
      crowded: `is one member too many: an object may have ${membersMax}`,
      repeated: 'is repeated: send each member once',
      inexact: 'has too many digits: it would be rounded to a whole number',
      large: 'must be between −(2^53−1) and 2^53−1',
    };
    return (kind: JsonFault['kind'], text: string, at: number) =>
      new AtlasError('invalid_request', 'The body would not be read as it is written; see `errors`.', {
        errors: [{ pointer: jsonPointerTo(text, at), detail: details[kind] }],
      });
  },
  bodyNotUtf8: () =>
    new AtlasError('malformed_json', 'The body is not valid UTF-8, or begins with a byte order mark.'),
  bodyBroken: (cause: unknown) =>
    new AtlasError('malformed_json', 'The body ended before it was complete.', { cause }),
  bodyStalled: () =>
    new AtlasError(
      'body_stalled',
      'The body did not begin within 10 seconds, or then arrived too slowly for half a minute. Nothing was stored.',
    ),
  bodyCut: (cause: unknown) =>
    (cause as { kind?: unknown } | undefined)?.kind === 'deadline'
      ? pipelineErrors.deadlineExceeded()
      : new AtlasError('request_aborted', 'The connection was closed before the body was complete.', {
          cause,
        }),
};

const SHED_DETAILS: Readonly<Record<Exclude<Refusal, 'deadline'>, string>> = {
  permits: 'Too many requests are in flight. Nothing was done; wait for Retry-After, then retry.',
  resource:
    'A resource this route needs is busy, and the wait would be too long. Nothing was done; wait for Retry-After, then retry.',
  loop: 'This worker is out of CPU time. Nothing was done; wait for Retry-After, then retry.',
  share:
    'Your requests, with their bodies, use as much of this worker as they may, and others need the rest. Nothing was done; wait for Retry-After, then retry, with fewer at a time.',
  chunks:
    'Your bodies in chunks cost much more than they hold: their chunks are very small, or have leading zeros or extensions. Nothing was done; wait for Retry-After, then retry with a Content-Length.',
  priority:
    'Requests of higher priority are served first. Nothing was done; wait for Retry-After, then retry.',
};

/**
 * Creates the errors that refuse requests. Each is created once and reused, because a refusal must cost less than it
 * saves: building an error takes longer than a decision. `q` of the policy is the cap of the cluster.
 */
export function refusals(cap: number): (reason: Refusal) => AtlasError {
  const tooShort = new AtlasError(
    'deadline_too_short',
    'The time left is shorter than the median response time of this route. Nothing was done.',
  );
  const prepared = new Map(
    Object.entries(SHED_DETAILS).map(([reason, detail]) => [
      reason,
      Array.from({ length: JITTER_SECONDS }, (_, i) => shed(detail, i + 1, cap)),
    ]),
  );
  return (reason) => {
    if (reason === 'deadline') return tooShort;
    // Jitter keeps refused callers from retrying in step (AWS Builders' Library, timeouts and retries).
    return prepared.get(reason)![Math.floor(Math.random() * JITTER_SECONDS)]!;
  };
}

/** RateLimit fields as in draft-ietf-httpapi-ratelimit-headers. */
function shed(detail: string, retryAfterSeconds: number, cap: number): AtlasError {
  const headers = {
    'RateLimit-Policy': `"shed";q=${cap}`,
    RateLimit: `"shed";r=0;t=${retryAfterSeconds}`,
  };
  const error = new AtlasError('overloaded', detail, { retryAfterSeconds, headers });
  return prepareProblem(error, httpProblems.overloaded);
}
