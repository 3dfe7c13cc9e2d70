import { z } from '@hono/zod-openapi';
import type { AbortReason, Exchange, ToProblem } from '../envelope/exchange.ts';
import type { Fields } from '../envelope/response-headers.ts';
import { AtlasError } from '../errors.ts';
import type { ProblemKind, ProblemKinds } from './problem-kind.ts';

/** Problem details (RFC 9457) with `requestId` and, for invalid input, `errors`. */
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
    description:
      'Problem details (RFC 9457). `type` links to a page with the cause and the remedy. Some types have further members.',
  });

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

/** Notified of errors that an operator should know about, before the caller gets its response. */
export interface ErrorReports {
  /** An unexpected error: a 500. */
  readonly unexpected: (error: unknown, exchange: Exchange) => void;
  /** A 503: a dependency is unavailable, or only an operator can help. Called for every such request. */
  readonly unavailable: (error: AtlasError) => void;
}

/** Creates the one function that turns any error into a response; the pipeline and Hono share it. */
export function createToProblem(kinds: ProblemKinds, reports: ErrorReports): ToProblem {
  return (thrown, exchange) => {
    // Work that an abort ends throws its reason, wherever it waited. Nothing failed.
    const reason = exchange.abortReason;
    const error = reason !== null && thrown === reason ? abortError(reason) : thrown;
    if (error instanceof AtlasError) {
      exchange.problem = error.code;
      if (error.code === 'dependency_unavailable' || error.remedy !== undefined) reports.unavailable(error);
      return problemResponse(error, kinds[error.code]!, exchange);
    }
    exchange.problem = 'internal';
    reports.unexpected(error, exchange);
    const internal = new AtlasError('internal', 'The error was logged under the request ID.');
    return problemResponse(internal, kinds.internal!, exchange);
  };
}

function abortError({ kind }: AbortReason): AtlasError {
  return kind === 'disconnect'
    ? new AtlasError('request_aborted', 'The connection was closed before the response was ready.')
    : new AtlasError(
        'deadline_exceeded',
        'The response was not ready in time. The request may still take effect.',
      );
}

const PROBLEM_FIELDS: Fields = { 'content-type': PROBLEM_MEDIA_TYPE, 'cache-control': 'no-store' };

// For errors that are created once and returned to many requests: everything but the request ID is serialized.
const prepared = new WeakMap<AtlasError, { readonly beforeId: string; readonly fields: Fields }>();

/** Serializes an error that will be returned to many requests once, so that a refusal costs next to nothing. */
export function prepareProblem(error: AtlasError, kind: ProblemKind): AtlasError {
  const beforeId = JSON.stringify(bodyOf(error, kind)).slice(0, -1);
  const fields = { ...fieldsOf(error), ...PROBLEM_FIELDS };
  prepared.set(error, { beforeId: `${beforeId},"requestId":`, fields });
  return error;
}

function problemResponse(error: AtlasError, kind: ProblemKind, exchange: Exchange): Response {
  const { status } = kind;
  const { responseHeaders } = exchange;
  const written = prepared.get(error);
  if (written !== undefined) {
    const body = `${written.beforeId}${JSON.stringify(exchange.requestId)}}`;
    return exchange.respond(body, status, responseHeaders.of(written.fields));
  }
  const body = JSON.stringify({
    ...bodyOf(error, kind),
    requestId: exchange.requestId,
    ...(error.errors && { errors: error.errors }),
    ...error.members,
  });
  return exchange.respond(body, status, responseHeaders.of(PROBLEM_FIELDS), fieldsOf(error));
}

function bodyOf(error: AtlasError, { title, status }: ProblemKind) {
  return { type: `/problems/${error.code}`, title, status, detail: error.message };
}

function fieldsOf({ headers, retryAfterSeconds }: AtlasError): Fields | undefined {
  return retryAfterSeconds === undefined ? headers : { ...headers, 'retry-after': String(retryAfterSeconds) };
}
