import { z } from '@hono/zod-openapi';
import type { Exchange } from '../envelope/exchange.ts';
import { AtlasError } from '../errors.ts';
import { PROBLEM_KINDS } from './problem-kinds.ts';

/** RFC 9457 problem details, with `requestId` and, for bad input, `errors`. */
export const ProblemSchema = z
  .object({
    type: z.string().openapi({ format: 'uri-reference', example: '/problems/invalid_request' }),
    title: z.string(),
    status: z.int().min(400).max(599),
    detail: z.string(),
    requestId: z.string(),
    errors: z
      .array(z.strictObject({ pointer: z.string(), detail: z.string(), code: z.string().optional() }))
      .optional(),
  })
  .openapi('Problem', {
    description: 'Problem details (RFC 9457). `type` is served by Atlas: cause and remedy.',
  });

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

/** Told of errors that an operator should hear of, before the caller gets an answer. */
export interface ErrorReports {
  /** Something that Atlas did not foresee: a 500. */
  readonly unexpected: (error: unknown, exchange: Exchange) => void;
  /** A dependency that does not answer: a 503. Comes with every request while that lasts. */
  readonly unavailable: (error: AtlasError) => void;
}

/** Makes the one function that turns any error into a response; the pipeline and Hono share it. */
export function createToProblem(reports: ErrorReports): (error: unknown, exchange: Exchange) => Response {
  return (error, exchange) => {
    if (error instanceof AtlasError) {
      if (error.code === 'dependency_unavailable') reports.unavailable(error);
      return problemResponse(error, exchange);
    }
    reports.unexpected(error, exchange);
    return problemResponse(
      new AtlasError('internal', 'The error was logged under the request id.'),
      exchange,
    );
  };
}

// By error, for those that are made once and answer many requests: all but the request id is then written in advance.
const prepared = new WeakMap<AtlasError, { readonly beforeId: string; readonly headers: Headers }>();

/** Has an error that will answer many requests written down once, so that a refusal costs next to nothing. */
export function prepareProblem(error: AtlasError): AtlasError {
  const { type, title, status, detail } = bodyOf(error);
  const beforeId = JSON.stringify({ type, title, status, detail }).slice(0, -1);
  prepared.set(error, { beforeId: `${beforeId},"requestId":`, headers: headersOf(error) });
  return error;
}

function problemResponse(error: AtlasError, exchange: Exchange): Response {
  const { status } = PROBLEM_KINDS[error.code];
  const written = prepared.get(error);
  if (written !== undefined) {
    const body = `${written.beforeId}${JSON.stringify(exchange.requestId)}}`;
    return new Response(body, { status, headers: written.headers });
  }
  const body = {
    ...bodyOf(error),
    requestId: exchange.requestId,
    ...(error.errors && { errors: error.errors }),
  };
  return new Response(JSON.stringify(body), { status, headers: headersOf(error) });
}

function bodyOf(error: AtlasError) {
  const { status, title } = PROBLEM_KINDS[error.code];
  return { type: `/problems/${error.code}`, title, status, detail: error.message };
}

function headersOf(error: AtlasError): Headers {
  const headers = new Headers(error.headers);
  headers.set('content-type', PROBLEM_MEDIA_TYPE);
  headers.set('cache-control', 'no-store');
  if (error.retryAfterSeconds !== undefined) headers.set('retry-after', String(error.retryAfterSeconds));
  return headers;
}
