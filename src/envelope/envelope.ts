import {
  type ClientAddressOf,
  type Connection,
  Exchange,
  type FetchHandler,
  type MatchedRoute,
  type Middleware,
} from './exchange.ts';

/** Handles a request. `nowMs` is the time of the monotonic clock, if it was read already. */
export type Entrance = (
  request: Request,
  connection?: Connection,
  nowMs?: number,
) => Response | Promise<Response>;

/** Composes layers around a fetch handler, outermost first. */
export function composeLayers(layers: readonly Middleware[], handler: FetchHandler): FetchHandler {
  return layers.reduceRight((next, layer) => layer(next), handler);
}

/**
 * Returns a plain fetch handler in front of composed layers, which works with any server built on web standards. A
 * server that passes its connections lets streamed bodies outlast its idle timeout, and shows the addresses of clients,
 * which are those that connect unless `clientAddressOf` says otherwise.
 *
 * Ports of one process share the layers: JavaScriptCore inlines them only as long as each was composed once.
 */
export function createEntrance(
  pipeline: FetchHandler,
  resolveRoute: (request: Request) => MatchedRoute,
  clientAddressOf?: ClientAddressOf,
): Entrance {
  return (request, connection, nowMs = performance.now()) =>
    pipeline(request, new Exchange(request, resolveRoute(request), nowMs, connection, clientAddressOf));
}

/**
 * Composes layers around a fetch handler, with one entrance.
 *
 * @example
 * const fetch = createEnvelope([requestId(), errors(toProblem)], handler, resolved.resolve);
 * Bun.serve({ fetch: (request, server) => fetch(request, server) });
 */
export function createEnvelope(
  layers: readonly Middleware[],
  handler: FetchHandler,
  resolveRoute: (request: Request) => MatchedRoute,
): Entrance {
  return createEntrance(composeLayers(layers, handler), resolveRoute);
}
