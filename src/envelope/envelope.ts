import { Exchange, type FetchHandler, type MatchedRoute, type Middleware } from './exchange.ts';

/**
 * Composes layers around a fetch handler, the first being the outermost. The result is itself a plain fetch handler, so
 * it can stand in front of any server that speaks web standards.
 */
export function createEnvelope(
  layers: readonly Middleware[],
  handler: FetchHandler,
  resolveRoute: (request: Request) => MatchedRoute,
): (request: Request) => Response | Promise<Response> {
  const pipeline = layers.reduceRight((next, layer) => layer(next), handler);
  return (request) => pipeline(request, new Exchange(request, resolveRoute(request), performance.now()));
}
