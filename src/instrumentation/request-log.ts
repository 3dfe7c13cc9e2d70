import type { Exchange } from '../envelope/exchange.ts';
import type { Observe } from '../envelope/metrics.ts';
import type { AtlasError } from '../errors.ts';
import type { DependencyOutages } from './dependency-outages.ts';
import type { Logger } from './logger.ts';
import { type CallerOf, RefusalLog } from './refusal-log.ts';

const ERROR_STATUS_MIN = 400;

/**
 * Logs refused and failed requests at level info, within bounds (see {@link RefusalLog}), and every response at level
 * debug. Returns null at other levels. `processes` share the bounds of the host.
 */
export function requestLog(logger: Logger, callerOf: CallerOf, processes: number): Observe | null {
  if (!logger.isLevelEnabled('info')) return null;
  const refusals = new RefusalLog(logger, callerOf, processes);
  const logsAll = logger.isLevelEnabled('debug');
  return (exchange, status, durationMs, request) => {
    if (logsAll) logResponse(logger, exchange, status, durationMs);
    if (status >= ERROR_STATUS_MIN || exchange.refusedItems !== null)
      refusals.log(exchange, status, durationMs, request);
  };
}

function logResponse(logger: Logger, exchange: Exchange, status: number, durationMs: number): void {
  const { requestId, traceparent, clientAddress, route } = exchange;
  const trace = traceparent === '' ? {} : { traceparent };
  const client = clientAddress === '' ? {} : { clientAddress };
  logger.debug(
    { requestId, ...trace, ...client, method: route.method, endpoint: route.pattern, status, durationMs },
    'request',
  );
}

/** Logs unexpected errors, and dependencies that are unavailable: see {@link DependencyOutages}. */
export function errorLog(logger: Logger, outages: DependencyOutages) {
  return {
    unexpected: (err: unknown, { requestId, route }: Exchange) =>
      logger.error({ requestId, endpoint: route.pattern, err }, 'request failed'),
    unavailable: (error: AtlasError) => outages.failed(error),
  };
}
