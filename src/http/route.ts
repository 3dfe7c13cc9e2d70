import { createRoute, type OpenAPIHono, type RouteConfig, type z } from '@hono/zod-openapi';
import type { Exchange, FetchHandler, MatchedRoute } from '../envelope/exchange.ts';
import { AtlasError, type ErrorCode } from '../errors.ts';
import type { Tier } from '../utils/tier.ts';
import { documentRoute, exampleOf } from './document-route.ts';
import { type AtlasContext, Input, validation } from './input.ts';
import { componentOf, PROBLEM_HEADERS } from './problem-headers.ts';
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
  /** A second scope that it needs, of a route with a scope. */
  readonly alsoScope?: string;
  /** False only for health and metrics. */
  readonly sheddable?: boolean;
  /** For operators: served on the admin port only, if there is one. */
  readonly isPrivate?: boolean;
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
  /** A body that works as it is against the demo data. */
  readonly example?: B extends z.ZodType ? z.input<B> : string;
  readonly responses: RouteConfig['responses'];
  /** Errors of this route in addition to those that any route of its kind can have. */
  readonly refusals?: readonly ErrorCode[];
}

/** The facts about a route that the pipeline and the metrics are compiled from. */
export type RouteFacts = Omit<MatchedRoute, 'index' | 'timeoutMs'> & {
  readonly timeoutMs?: number;
  readonly isPrivate?: boolean;
  readonly alsoScope?: string;
};

export const JSON_BODY_LIMIT_BYTES = 1_048_576;

/** Collects the routes of an app while the features mount them. */
export class RouteTable {
  readonly app: Atlas;
  readonly facts: RouteFacts[] = [];
  /** The handlers of the routes, in the order of `facts`. */
  readonly handlers: FetchHandler[] = [];
  /** What the contract says about each route. */
  readonly operations: RouteConfig[] = [];
  readonly #kinds: ProblemKinds;
  readonly #hidesPrivate: boolean;

  /** `kinds` provides the descriptions of error responses. Private routes may be left out of the contract. */
  constructor(app: Atlas, kinds: ProblemKinds, { hidesPrivate = false } = {}) {
    this.app = app;
    this.#kinds = kinds;
    this.#hidesPrivate = hidesPrivate;
    for (const [code, kind] of Object.entries(kinds))
      app.openAPIRegistry.registerComponent('examples', code, exampleOf(code, kind));
    for (const [name, header] of Object.entries(PROBLEM_HEADERS))
      app.openAPIRegistry.registerComponent('headers', componentOf(name), header);
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
    const { method, path, tier, scope, alsoScope } = route;
    const operation = documentRoute(route, this.#kinds);
    this.operations.push(operation);
    if (!(route.isPrivate && this.#hidesPrivate))
      this.app.openAPIRegistry.registerPath(createRoute(operation));
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
      ...(route.isPrivate && { isPrivate: true }),
      ...(alsoScope !== undefined && { alsoScope }),
      ...(route.timeoutMs !== undefined && { timeoutMs: route.timeoutMs }),
    });
    const validate = validation(route);
    const enter: FetchHandler = (request, exchange) => {
      // The pipeline sets the principal once it has checked the scope of this route.
      if (scope !== null && exchange.principal === null) throw unauthenticated();
      if (alsoScope !== undefined && !exchange.principal!.scopes.includes(alsoScope))
        throw new AtlasError('forbidden', `This route requires the scope ${alsoScope}.`);
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
