import { type Connection, Exchange, type MatchedRoute, type ToProblem } from '../../src/envelope/exchange.ts';

/** Returns a route as `compileRoutes` does, with the given changes. */
export function routeOf(changes: Partial<MatchedRoute> = {}): MatchedRoute {
  return {
    index: 0,
    method: 'GET',
    pattern: '/things',
    tier: 'default',
    scope: null,
    sheddable: true,
    resource: null,
    timeoutMs: 30_000,
    bodyLimitBytes: 1024,
    streamsBody: false,
    compressible: false,
    ...changes,
  };
}

/** Returns a request with its exchange, as the envelope creates it. */
export function exchangeOf(
  init: RequestInit & { readonly url?: string } = {},
  route: Partial<MatchedRoute> = {},
  connection: Connection | null = null,
): { request: Request; exchange: Exchange } {
  const request = new Request(init.url ?? 'http://atlas.test/things', init);
  return { request, exchange: new Exchange(request, routeOf(route), performance.now(), connection) };
}

/** Responds with 500 and the message of the error, so that a test sees the error. */
export const plainProblem: ToProblem = (error) => new Response((error as Error).message, { status: 500 });

/** A response that a test settles: for a handler that takes as long as the test requires. */
export function pendingResponse(): PromiseWithResolvers<Response> {
  return Promise.withResolvers<Response>();
}

/** Returns the response of a synchronous layer. Throws if the layer created a promise. */
export function now(response: Response | Promise<Response>): Response {
  if (response instanceof Promise)
    throw new Error('The layer created a promise although its handler did not.');
  return response;
}
