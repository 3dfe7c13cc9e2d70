import { errors } from './errors.ts';
import type { FetchHandler, ToProblem } from './exchange.ts';

/**
 * Returns the handler inside the last layer: it enters the route that the pipeline has resolved, without matching it
 * again. `handlers` are those of the routes, by index; `unmatched` serves everything else. HEAD is served like GET: the
 * server drops the body, and knows its length.
 */
export function enterRoute(
  handlers: readonly FetchHandler[],
  unmatched: FetchHandler,
  toProblem: ToProblem,
): FetchHandler {
  // Errors become responses here too, because load shedding learns from their status.
  const enter = errors(toProblem)((request, exchange) => handlers[exchange.route.index]!(request, exchange));
  return (request, exchange) => {
    if (exchange.route.index >= handlers.length) return unmatched(request, exchange);
    return enter(request, exchange);
  };
}
