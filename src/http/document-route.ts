import type { RouteConfig } from '@hono/zod-openapi';
import type { ErrorCode } from '../errors.ts';
import { PROBLEM_MEDIA_TYPE, ProblemSchema } from './problem.ts';
import { problemHeaders } from './problem-headers.ts';
import type { ProblemKind, ProblemKinds } from './problem-kind.ts';
import type { RouteDefinition } from './route.ts';

// Routes are documented whatever the schemas of their input are.
// biome-ignore lint/suspicious/noExplicitAny: a definition is not assignable to one with other schemas
type AnyRoute = RouteDefinition<any, any, any, any>;

// OpenAPI 3.1 describes bytes by their media type alone; generators of clients know the form of 3.0.
const BYTES = { type: 'string', format: 'binary' } as const;

/**
 * Returns what OpenAPI says about a route: its input, its responses, and under each status the problems that it can
 * return, those of the pipeline included.
 */
export function documentRoute(route: AnyRoute, kinds: ProblemKinds): RouteConfig {
  const { params, query, headers, body, streams, example } = route;
  const scopes = [route.scope, route.alsoScope].filter((scope) => typeof scope === 'string');
  const listed = scopes.map((scope) => `\`${scope}\``).join(' and ');
  const scope = scopes.length === 0 ? '' : `Requires the scope${scopes.length > 1 ? 's' : ''} ${listed}.`;
  const description = [route.description, scope].filter(Boolean).join(' ');
  const media = body ? 'application/json' : streams;
  return {
    method: route.method,
    path: route.path,
    operationId: route.operationId,
    summary: route.summary,
    ...(description && { description }),
    tags: [route.tag],
    security: scopes.length === 0 ? [] : [{ apiKey: scopes }],
    'x-slo-tier': route.tier,
    request: {
      ...(params && { params }),
      ...(query && { query }),
      ...(headers && { headers }),
      ...(media && {
        body: {
          required: true,
          content: { [media]: { schema: body ?? BYTES, ...(example !== undefined && { example }) } },
        },
      }),
    },
    responses: { ...problemsOf(route, kinds), ...route.responses },
  };
}

/** Returns an example of a problem, for the `examples` of the document. */
export function exampleOf(code: string, { title, status, cause, errors }: ProblemKind) {
  const value = { type: `/problems/${code}`, title, status, detail: cause, requestId: REQUEST_ID };
  return { summary: title, value: { ...value, ...(errors && { errors }) } };
}

const REQUEST_ID = '0198c0de-0000-7000-8000-00000000000f';

function problemsOf(route: AnyRoute, kinds: ProblemKinds) {
  const byStatus = Map.groupBy(codesOf(route), (code) => kinds[code]!.status);
  return Object.fromEntries(
    [...byStatus].sort(([a], [b]) => a - b).map(([status, codes]) => [status, problemOf(status, codes)]),
  );
}

/** Returns every error that the route can respond with, once. */
function codesOf(route: AnyRoute): ErrorCode[] {
  const { params, query, headers, body, streams } = route;
  const codes: ErrorCode[] = ['invalid_host'];
  if (params || query || headers || body) codes.push('invalid_request');
  if (body) codes.push('malformed_json', 'body_missing', 'body_too_deep');
  if (body || streams) codes.push('body_too_large', 'unsupported_media_type');
  if (route.scope !== null)
    codes.push(
      'unauthenticated',
      'forbidden',
      'organization_suspended',
      'quota_exceeded',
      'dependency_unavailable',
    );
  if (route.scope !== null && route.method !== 'get') codes.push('cross_site_request');
  if (route.sheddable !== false)
    codes.push('overloaded', 'internal', 'deadline_exceeded', 'deadline_too_short');
  return [...new Set([...codes, ...(route.refusals ?? [])])];
}

function problemOf(status: number, codes: readonly ErrorCode[]) {
  const headers = problemHeaders(status);
  const examples = codes.map((code) => [code, { $ref: `#/components/examples/${code}` }] as const);
  return {
    description: codes.map((code) => `[\`${code}\`](/problems/${code})`).join(', '),
    ...(headers && { headers }),
    content: { [PROBLEM_MEDIA_TYPE]: { schema: ProblemSchema, examples: Object.fromEntries(examples) } },
  };
}
