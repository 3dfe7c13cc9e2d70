import {
  type Connection,
  Exchange,
  type FetchHandler,
  type MatchedRoute,
  type Middleware,
} from './exchange.ts';

/**
 * Composes layers around a fetch handler, the first being the outermost. The result is itself a plain fetch handler, so
 * it can stand in front of any server that speaks web standards. A server that hands over its connections has its
 * streams of bytes open for longer than its idle timeout.
 */
export function createEnvelope(
  layers: readonly Middleware[],
  handler: FetchHandler,
  resolveRoute: (request: Request) => MatchedRoute,
): (request: Request, connection?: Connection) => Response | Promise<Response> {
  const pipeline = layers.reduceRight((next, layer) => layer(next), handler);
  return (request, connection) =>
    pipeline(request, new Exchange(request, resolveRoute(request), performance.now(), connection));
}
