import type { Exchange, Middleware } from './exchange.ts';
import type { RedStats } from './red-stats.ts';

/** Told of every answer, after it was counted. Meant for logs of requests, which are off by default. */
export type Observe = (exchange: Exchange, status: number, durationMs: number) => void;

/** Counts every answer by route and status, with how long it took. Sees what the layers inside it answered. */
export function metrics(stats: RedStats, observe: Observe | null): Middleware {
  function record(exchange: Exchange, status: number): void {
    const durationMs = performance.now() - exchange.startMs;
    stats.inFlight--;
    stats.record(exchange.route.index, status, durationMs);
    if (observe !== null) observe(exchange, status, durationMs);
  }

  // Only reached when the layers inside have no answer at all. Without it the gauge would drift upwards for ever.
  function giveUp(error: unknown): never {
    stats.inFlight--;
    throw error;
  }

  return (next) => (request, exchange) => {
    stats.inFlight++;
    let response: Response | Promise<Response>;
    try {
      response = next(request, exchange);
    } catch (error) {
      giveUp(error);
    }
    if (response instanceof Promise) {
      return response.then((settled) => {
        record(exchange, settled.status);
        return settled;
      }, giveUp);
    }
    record(exchange, response.status);
    return response;
  };
}
