import type { Exchange } from '../envelope/exchange.ts';
import type { Observe } from '../envelope/metrics.ts';
import { throttle } from '../utils/throttle.ts';
import type { Logger } from './logger.ts';

const UNAVAILABLE_EVERY_MS = 1000;

/** Logs every response at level debug. Returns null at other levels, so that the hot path pays nothing. */
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

/** Logs every unexpected error, and at most once per second that a dependency is unavailable. */
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
