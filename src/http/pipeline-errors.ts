import { AtlasError } from '../errors.ts';
import type { Refusal } from '../shedding/admission.ts';
import { prepareProblem } from './problem.ts';

const JITTER_SECONDS = 3;

/** The errors that layers of the envelope raise, which know no error of Atlas themselves. */
export const pipelineErrors = {
  deadlineExceeded: () =>
    new AtlasError(
      'deadline_exceeded',
      'The answer was not ready in time. The request may still take effect.',
    ),
  invalidHost: () =>
    new AtlasError('invalid_host', 'Send exactly one Host header with a name and, if needed, a port.'),
  bodyTooLarge: (limitBytes: number) =>
    new AtlasError('body_too_large', `The body may have at most ${limitBytes} bytes here.`),
  bodyTooDeep: (depthMax: number) =>
    new AtlasError('body_too_deep', `JSON may be nested ${depthMax} levels deep.`),
  bodyNotUtf8: () =>
    new AtlasError('malformed_json', 'The body is not valid UTF-8 without a byte order mark.'),
  bodyBroken: (cause: unknown) =>
    new AtlasError('malformed_json', 'The body ended before it was complete.', { cause }),
  bodyStalled: () =>
    new AtlasError(
      'body_stalled',
      'Hardly anything of the body arrived for half a minute. Nothing was kept.',
    ),
  bodyCut: (cause: unknown) =>
    (cause as { kind?: unknown } | undefined)?.kind === 'deadline'
      ? pipelineErrors.deadlineExceeded()
      : new AtlasError('request_aborted', 'The connection was closed before the body was complete.', {
          cause,
        }),
};

const SHED_DETAILS: Readonly<Record<Exclude<Refusal, 'deadline'>, string>> = {
  permits: 'As many requests are in flight as may be. Nothing was done; try again after Retry-After.',
  resource:
    'What this needs is busy, the wait would be too long. Nothing was done; try again after Retry-After.',
  loop: 'There is more to compute than this worker can. Nothing was done; try again after Retry-After.',
  priority: 'More important requests go first at this moment. Nothing was done; try again after Retry-After.',
};

/**
 * Makes the errors that refuse requests. They are made once and used again, because a refusal must cost less than what
 * it saves: an error takes longer to build than a decision. `q` of the policy is the cap of the cluster.
 */
export function refusals(cap: number): (reason: Refusal) => AtlasError {
  const hopeless = new AtlasError(
    'deadline_too_short',
    'The time left is shorter than half of the answers here take; nothing was done.',
  );
  const made = new Map(
    Object.entries(SHED_DETAILS).map(([reason, detail]) => [
      reason,
      Array.from({ length: JITTER_SECONDS }, (_, i) => shed(detail, i + 1, cap)),
    ]),
  );
  return (reason) => {
    if (reason === 'deadline') return hopeless;
    // Jitter keeps the refused from coming back all at once (AWS Builders' Library, timeouts and retries).
    return made.get(reason)![Math.floor(Math.random() * JITTER_SECONDS)]!;
  };
}

/** RateLimit fields as in draft-ietf-httpapi-ratelimit-headers. */
function shed(detail: string, retryAfterSeconds: number, cap: number): AtlasError {
  const headers = {
    'RateLimit-Policy': `"shed";q=${cap}`,
    RateLimit: `"shed";r=0;t=${retryAfterSeconds}`,
  };
  return prepareProblem(new AtlasError('overloaded', detail, { retryAfterSeconds, headers }));
}
