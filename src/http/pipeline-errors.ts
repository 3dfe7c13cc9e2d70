import { AtlasError } from '../errors.ts';

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
  // Jitter keeps the refused from coming back all at once (AWS Builders' Library, timeouts and retries).
  overloaded: () => {
    const retryAfterSeconds = 1 + Math.floor(Math.random() * JITTER_SECONDS);
    const headers = { 'RateLimit-Policy': '"shed";q=1', RateLimit: `"shed";r=0;t=${retryAfterSeconds}` };
    return new AtlasError('overloaded', 'As many requests are in flight as Atlas serves at once.', {
      retryAfterSeconds,
      headers,
    });
  },
} as const;
