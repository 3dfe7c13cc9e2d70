import type { Exchange, Middleware } from './exchange.ts';
import type { RedStats } from './red-stats.ts';

/** Receives every response after it was counted. Meant for request logs. */
export type Observe = (exchange: Exchange, status: number, durationMs: number, request: Request) => void;

/** Counts the responses of the inner layers by route and status, and records their durations. */
export function metrics(stats: RedStats, observe: Observe | null): Middleware {
  function record(exchange: Exchange, status: number, nowMs: number, request: Request): void {
    const durationMs = nowMs - exchange.startMs;
    stats.inFlight--;
    stats.record(exchange.route.index, status, durationMs);
    if (observe !== null) observe(exchange, status, durationMs, request);
  }

  // Reached only if the inner layers return no response. Without it the gauge would drift upward.
  function fail(error: unknown): never {
    stats.inFlight--;
    throw error;
  }

  return (next) => (request, exchange) => {
    stats.inFlight++;
    let response: Response | Promise<Response>;
    try {
      response = next(request, exchange);
    } catch (error) {
      fail(error);
    }
    if (response instanceof Promise) {
      return response.then((settled) => {
        record(exchange, settled.status, performance.now(), request);
        return settled;
      }, fail);
    }
    const { endedMs } = exchange;
    record(exchange, response.status, Number.isNaN(endedMs) ? performance.now() : endedMs, request);
    return response;
  };
}
