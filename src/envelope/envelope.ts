import {
  type ClientAddressOf,
  type Connection,
  Exchange,
  type FetchHandler,
  type MatchedRoute,
  type Middleware,
} from './exchange.ts';

/**
 * Composes layers around a fetch handler, outermost first. Returns a plain fetch handler that works with any server
 * built on web standards. A server that passes its connections lets streamed bodies outlast its idle timeout, and shows
 * the addresses of clients, which are those that connect unless `clientAddressOf` says otherwise.
 *
 * @example
 * const fetch = createEnvelope([requestId(), errors(toProblem)], handler, resolved.resolve);
 * Bun.serve({ fetch: (request, server) => fetch(request, server) });
 */
export function createEnvelope(
  layers: readonly Middleware[],
  handler: FetchHandler,
  resolveRoute: (request: Request) => MatchedRoute,
  clientAddressOf?: ClientAddressOf,
): (request: Request, connection?: Connection) => Response | Promise<Response> {
  const pipeline = layers.reduceRight((next, layer) => layer(next), handler);
  return (request, connection) =>
    pipeline(
      request,
      new Exchange(request, resolveRoute(request), performance.now(), connection, clientAddressOf),
    );
}
