import { createRoute, type OpenAPIHono, type RouteConfig, type z } from '@hono/zod-openapi';
import type { Exchange, FetchHandler, MatchedRoute } from '../envelope/exchange.ts';
import { AtlasError } from '../errors.ts';
import type { Tier } from '../utils/tier.ts';
import { type AtlasContext, Input, validation } from './input.ts';
import { PROBLEM_MEDIA_TYPE, ProblemSchema } from './problem.ts';
import type { ProblemKinds } from './problem-kind.ts';

/** The Hono app of Atlas. Its env is the exchange. */
export type Atlas = OpenAPIHono<{ Bindings: Exchange }>;

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

/** The facts about a route that the pipeline and the metrics are compiled from. */
export type RouteFacts = Omit<MatchedRoute, 'index' | 'timeoutMs'> & { readonly timeoutMs?: number };

export const JSON_BODY_LIMIT_BYTES = 1_048_576;

/** Collects the routes of an app while the features mount them. */
export class RouteTable {
  readonly app: Atlas;
  readonly facts: RouteFacts[] = [];
  /** The handlers of the routes, in the order of `facts`. */
  readonly handlers: FetchHandler[] = [];
  readonly #kinds: ProblemKinds;

  /** `kinds` provides the descriptions of error responses. */
  constructor(app: Atlas, kinds: ProblemKinds) {
    this.app = app;
    this.#kinds = kinds;
  }

  /**
   * Mounts a route: documents it, and registers one handler that checks the principal, validates all input, and calls
   * `handle`. Validation is one step and not a chain of middleware, because each link would cost a promise. Handlers
   * respond with `exchange.json` where they can: `c` and its responses cost more.
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
   *   ({ exchange }) => exchange.json({ pong: true }, 200),
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
    const validate = validation(route);
    const enter: FetchHandler = (request, exchange) => {
      // The pipeline sets the principal once it has checked the scope of this route.
      if (scope !== null && exchange.principal === null) throw unauthenticated();
      const input = new Input<Output<P>, Output<Q>, Output<H>, Output<B>>(request, exchange);
      validate?.(input);
      return handle(input);
    };
    this.handlers.push(enter);
    // In OpenAPI a concrete path wins over a template, so GET /v1/transfers/batch does not name a transfer.
    this.app.on(method.toUpperCase(), path.replaceAll(/\{(\w+)\}/g, ':$1'), (c: AtlasContext) =>
      c.env.route.pattern === path ? enter(c.req.raw, c.env) : c.notFound(),
    );
  }
}

function unauthenticated(): AtlasError {
  return new AtlasError('unauthenticated', 'This route requires an API key.');
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
