import type { DeadlineWheel } from './deadline-wheel.ts';
import { AbortReason, type Exchange, type Middleware, type ToProblem } from './exchange.ts';

const GRPC_UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 0.001,
  n: 0.000001,
};
const GRPC_TIMEOUT = /^(\d{1,8})([HMSmun])$/;
const MILLISECONDS = /^\d{1,9}$/;

/** What the deadline layer needs from outside. */
export interface DeadlineOptions {
  readonly wheel: DeadlineWheel;
  readonly toProblem: ToProblem;
  /** Makes the error that `toProblem` turns into a 504. */
  readonly exceeded: () => Error;
}

/** Milliseconds that the caller will wait, or Infinity. Only relative values count: clocks of two hosts never agree. */
export function callerTimeoutMs(headers: Headers): number {
  const grpc = headers.get('grpc-timeout');
  const envoy = headers.get('x-envoy-expected-rq-timeout-ms');
  let timeoutMs = Number.POSITIVE_INFINITY;
  if (grpc !== null) {
    const parts = GRPC_TIMEOUT.exec(grpc);
    if (parts) timeoutMs = Number(parts[1]) * GRPC_UNIT_MS[parts[2]!]!;
  }
  if (envoy !== null && MILLISECONDS.test(envoy) && envoy !== '0')
    timeoutMs = Math.min(timeoutMs, Number(envoy));
  return timeoutMs;
}

/**
 * Answers 504 at the deadline and aborts `exchange.signal`. The deadline is the smaller of the route's cap and what the
 * caller sent. The handler goes on until it notices the signal; what it answers then is dropped.
 */
export function deadline({ wheel, toProblem, exceeded }: DeadlineOptions): Middleware {
  return (next) => (request, exchange) => {
    exchange.deadlineMs =
      exchange.startMs + Math.min(exchange.route.timeoutMs, callerTimeoutMs(request.headers));
    const response = next(request, exchange);
    return response instanceof Promise ? race(response, exchange) : response;
  };

  function race(pending: Promise<Response>, exchange: Exchange): Promise<Response> {
    return new Promise((resolve, reject) => {
      const alarm = wheel.set(exchange.deadlineMs, () => {
        exchange.abort(new AbortReason('deadline'));
        resolve(toProblem(exceeded(), exchange));
      });
      pending.then(
        (response) => {
          wheel.cancel(alarm);
          resolve(response);
        },
        (error) => {
          wheel.cancel(alarm);
          reject(error);
        },
      );
    });
  }
}
