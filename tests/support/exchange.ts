import { type Connection, Exchange, type MatchedRoute, type ToProblem } from '../../src/envelope/exchange.ts';

/** A route as `compileRoutes` answers one, with what a test wants different. */
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

/** A request together with its exchange, as the envelope makes it. */
export function exchangeOf(
  init: RequestInit & { readonly url?: string } = {},
  route: Partial<MatchedRoute> = {},
  connection: Connection | null = null,
): { request: Request; exchange: Exchange } {
  const request = new Request(init.url ?? 'http://atlas.test/things', init);
  return { request, exchange: new Exchange(request, routeOf(route), performance.now(), connection) };
}

/** Answers 500 with the message of the error, so that a test sees which error came out. */
export const plainProblem: ToProblem = (error) => new Response((error as Error).message, { status: 500 });

/** A promise and the hands that settle it: a handler that takes as long as the test wants. */
export function pendingResponse(): PromiseWithResolvers<Response> {
  return Promise.withResolvers<Response>();
}

/** What a synchronous layer answered. Fails the test when a promise was made where none was needed. */
export function now(answer: Response | Promise<Response>): Response {
  if (answer instanceof Promise) throw new Error('The layer made a promise where its handler had none.');
  return answer;
}
