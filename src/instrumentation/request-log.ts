import type { Exchange } from '../envelope/exchange.ts';
import type { Observe } from '../envelope/metrics.ts';
import { throttle } from '../utils/throttle.ts';
import type { Logger } from './logger.ts';

const UNAVAILABLE_EVERY_MS = 1000;

/** A line for every answered request at the level debug; null at other levels, so that the hot path pays nothing. */
export function requestLog(logger: Logger): Observe | null {
  if (!logger.isLevelEnabled('debug')) return null;
  return ({ requestId, traceparent, route }, status, durationMs) => {
    const trace = traceparent === '' ? {} : { traceparent };
    logger.debug(
      { requestId, ...trace, method: route.method, endpoint: route.pattern, status, durationMs },
      'request',
    );
  };
}

/** Writes down what operators should hear of: each surprise, and once a second that a dependency is away. */
export function errorLog(logger: Logger) {
  return {
    unexpected: (err: unknown, { requestId, route }: Exchange) =>
      logger.error({ requestId, endpoint: route.pattern, err }, 'request failed'),
    unavailable: throttle<Error>(UNAVAILABLE_EVERY_MS, (error, leftOut) => {
      const cause = error.cause instanceof Error ? error.cause.message : undefined;
      logger.warn({ cause, leftOut }, error.message);
    }),
  };
}
