import { createRoute, type OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { Exchange, MatchedRoute } from '../envelope/exchange.ts';
import { AtlasError, type InputError } from '../errors.ts';
import type { Tier } from '../utils/tier.ts';
import { describeIssue } from './describe-issue.ts';
import { readJson } from './json-body.ts';
import { PROBLEM_MEDIA_TYPE, ProblemSchema } from './problem.ts';
import type { ProblemKinds } from './problem-kind.ts';

/** The Hono app of Atlas. Its env is the exchange. */
export type Atlas = OpenAPIHono<{ Bindings: Exchange }>;
export type AtlasContext = Context<{ Bindings: Exchange }>;

type Shape = z.ZodType | undefined;
type Output<S extends Shape> = S extends z.ZodType ? z.output<S> : undefined;

/** Everything that a feature declares about a route: OpenAPI, tier, scope, limits. */
export interface RouteDefinition<P extends Shape, Q extends Shape, H extends Shape, B extends Shape> {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  readonly tag: string;
  readonly tier: Tier;
  /** The scope a key needs, or null if the route needs no key. */
  readonly scope: string | null;
  /** False only for health, metrics, and docs. */
  readonly sheddable?: boolean;
  /** The resource whose queue requests of this route may wait in. Each resource has its own limit. */
  readonly resource?: 'database' | 'ledger';
  readonly compressible?: boolean;
  readonly bodyLimitBytes?: number;
  /** The body is bytes of this media type, which the handler reads from `exchange.body` as they arrive. */
  readonly streams?: 'application/octet-stream';
  /** Timeout of the route in milliseconds; HTTP_TIMEOUT by default. */
  readonly timeoutMs?: number;
  readonly params?: P;
  readonly query?: Q;
  readonly headers?: H;
  readonly body?: B;
  readonly responses: RouteConfig['responses'];
  /** Error statuses that this route returns in addition to the common ones. */
  readonly refusals?: readonly number[];
}

/** The validated input of a request. */
export interface Input<P, Q, H, B> {
  readonly c: AtlasContext;
  readonly exchange: Exchange;
  readonly params: P;
  readonly query: Q;
  readonly headers: H;
  readonly body: B;
}

/** The facts about a route that the pipeline and the metrics are compiled from. */
export type RouteFacts = Omit<MatchedRoute, 'index' | 'timeoutMs'> & { readonly timeoutMs?: number };

export const JSON_BODY_LIMIT_BYTES = 1_048_576;

/** Collects the routes of an app while the features mount them. */
export class RouteTable {
  readonly app: Atlas;
  readonly facts: RouteFacts[] = [];
  readonly #kinds: ProblemKinds;

  /** `kinds` provides the descriptions of error responses. */
  constructor(app: Atlas, kinds: ProblemKinds) {
    this.app = app;
    this.#kinds = kinds;
  }

  /**
   * Mounts a route: documents it, and registers one handler that checks the principal, validates all input, and calls
   * `handle`. Validation is one step and not a chain of middleware, because each link would cost a promise.
   *
   * @example
   * routes.mount(
   *   {
   *     method: 'get',
   *     path: '/v1/ping',
   *     operationId: 'ping',
   *     summary: 'Check the connection and the API key',
   *     tag: 'Health',
   *     tier: 'default',
   *     scope: 'ping:read',
   *     responses: { 200: jsonOf('The key is valid', PingSchema) },
   *   },
   *   ({ c }) => c.json({ pong: true }, 200),
   * );
   */
  mount<
    P extends Shape = undefined,
    Q extends Shape = undefined,
    H extends Shape = undefined,
    B extends Shape = undefined,
  >(
    route: RouteDefinition<P, Q, H, B>,
    handle: (input: Input<Output<P>, Output<Q>, Output<H>, Output<B>>) => Response | Promise<Response>,
  ): void {
    const { method, path, tier, scope } = route;
    this.app.openAPIRegistry.registerPath(createRoute(document(route, this.#kinds)));
    this.facts.push({
      method: method.toUpperCase(),
      pattern: path,
      tier,
      scope,
      sheddable: route.sheddable ?? true,
      resource: route.resource ?? null,
      bodyLimitBytes: route.bodyLimitBytes ?? JSON_BODY_LIMIT_BYTES,
      streamsBody: route.streams !== undefined,
      compressible: route.compressible ?? false,
      ...(route.timeoutMs !== undefined && { timeoutMs: route.timeoutMs }),
    });
    const enter = (c: AtlasContext) => {
      // In OpenAPI a concrete path wins over a template, so GET /v1/transfers/batch does not name a transfer.
      if (c.env.route.pattern !== path) return c.notFound();
      // The pipeline authorized the route that it resolved; this checks the route that Hono matched.
      if (scope !== null) requireScope(c.env, scope);
      const input = {
        c,
        exchange: c.env,
        params: check(route.params, () => c.req.param(), '/path'),
        query: check(route.query, () => queryOf(c.req.url), '/query'),
        headers: check(route.headers, () => headersOf(route.headers, c), '/headers'),
        body: undefined,
      };
      if (route.body === undefined) {
        return handle(input as unknown as Input<Output<P>, Output<Q>, Output<H>, Output<B>>);
      }
      return readJson(c.req.raw).then((json) => {
        const body = check(route.body, () => json, '');
        return handle({ ...input, body } as unknown as Input<Output<P>, Output<Q>, Output<H>, Output<B>>);
      });
    };
    this.app.on(method.toUpperCase(), path.replaceAll(/\{(\w+)\}/g, ':$1'), enter);
  }
}

function requireScope({ principal }: Exchange, scope: string): void {
  if (principal === null) throw new AtlasError('unauthenticated', 'This route requires an API key.');
  if (!principal.scopes.includes(scope))
    throw new AtlasError('forbidden', `This route requires the scope ${scope}.`);
}

function queryOf(url: string): Record<string, string | string[]> {
  const values: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of new URLSearchParams(url.slice(url.indexOf('?') >>> 0))) {
    const previous = values[name];
    values[name] = previous === undefined ? value : [previous, value].flat();
  }
  return { ...values };
}

function headersOf(schema: Shape, c: AtlasContext): Record<string, string | undefined> {
  const names = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
  return Object.fromEntries(names.map((name) => [name, c.req.header(name)]));
}

// One object for all requests.
const DESCRIBED = { error: describeIssue };

/** Validates a part of the request. Throws `invalid_request` with a pointer to each mistake. */
function check<S extends Shape>(schema: S, read: () => unknown, at: string): Output<S> {
  if (schema === undefined) return undefined as Output<S>;
  const result = schema.safeParse(read(), DESCRIBED);
  if (result.success) return result.data as Output<S>;
  throw new AtlasError('invalid_request', 'The request does not match its schema; see `errors`.', {
    errors: result.error.issues.slice(0, 20).flatMap((issue) => toInputErrors(issue, at)),
  });
}

function toInputErrors(issue: z.core.$ZodIssue, at: string): InputError[] {
  const pointer = `${at}${issue.path.map((step) => `/${escapePointer(String(step))}`).join('')}`;
  if (issue.code !== 'unrecognized_keys') return [{ pointer, detail: issue.message }];
  return issue.keys
    .slice(0, 20)
    .map((key) => ({ pointer: `${pointer}/${escapePointer(key)}`, detail: 'is unknown' }));
}

function escapePointer(step: string): string {
  return step.slice(0, 100).replaceAll('~', '~0').replaceAll('/', '~1');
}

function document<P extends Shape, Q extends Shape, H extends Shape, B extends Shape>(
  route: RouteDefinition<P, Q, H, B>,
  kinds: ProblemKinds,
): RouteConfig {
  const { params, query, headers, body, streams } = route;
  const statuses = new Set(route.refusals);
  if (route.scope !== null) for (const status of [401, 403, 503]) statuses.add(status);
  if (route.sheddable !== false) for (const status of [429, 500, 504]) statuses.add(status);
  // Any request can have a malformed Host, and any body can fail in these ways.
  statuses.add(400);
  if (body || streams) for (const status of [413, 415]) statuses.add(status);
  const problems = [...statuses].sort().map((status) => [status, problemOf(status, kinds)] as const);
  return {
    method: route.method,
    path: route.path,
    operationId: route.operationId,
    summary: route.summary,
    ...(route.description && { description: route.description }),
    tags: [route.tag],
    security: route.scope === null ? [] : [{ apiKey: [route.scope] }],
    'x-slo-tier': route.tier,
    request: {
      ...(params && { params: params as never }),
      ...(query && { query: query as never }),
      ...(headers && { headers: headers as never }),
      ...(body && { body: { required: true, content: { 'application/json': { schema: body } } } }),
      ...(streams && { body: { required: true, content: { [streams]: { schema: BYTES } } } }),
    },
    responses: { ...Object.fromEntries(problems), ...route.responses },
  };
}

// OpenAPI 3.1 describes bytes by their media type alone.
const BYTES = {} as const;

function problemOf(status: number, kinds: ProblemKinds) {
  const titles = Object.values(kinds)
    .filter((kind) => kind.status === status)
    .map((kind) => kind.title);
  const retry = {
    'Retry-After': {
      description: 'Seconds to wait before a retry',
      schema: { type: 'integer' as const, minimum: 0 },
    },
  };
  return {
    // A route declares statuses and not codes, so one status can stand for several codes.
    description: titles.length === 1 ? titles[0]! : 'A problem; see its `type`',
    ...([409, 429, 503].includes(status) && { headers: retry }),
    content: { [PROBLEM_MEDIA_TYPE]: { schema: ProblemSchema } },
  };
}

/**
 * Declares a JSON response of a route.
 *
 * @example responses: { 200: jsonOf('The account', AccountSchema) }
 */
export function jsonOf(description: string, schema: z.ZodType, headers?: Record<string, object>) {
  return {
    description,
    content: { 'application/json': { schema } },
    ...(headers && { headers: headers as never }),
  };
}
