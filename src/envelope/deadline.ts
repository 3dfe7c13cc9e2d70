import type { DeadlineWheel } from './deadline-wheel.ts';
import { AbortReason, type Exchange, type Middleware, type ToProblem } from './exchange.ts';

/** What the deadline layer needs from outside. */
export interface DeadlineOptions {
  readonly wheel: DeadlineWheel;
  readonly toProblem: ToProblem;
  /** Makes the error that `toProblem` turns into a 504. */
  readonly exceeded: () => Error;
}

/**
 * Answers 504 at the deadline and aborts `exchange.signal`. The deadline is the smaller of the route's cap and what the
 * caller sent. The handler goes on until it notices the signal; what it answers then is dropped.
 */
export function deadline({ wheel, toProblem, exceeded }: DeadlineOptions): Middleware {
  return (next) => (request, exchange) => {
    const response = next(request, exchange);
    return response instanceof Promise ? race(response, exchange) : response;
  };

  function race(pending: Promise<Response>, exchange: Exchange): Promise<Response> {
    return new Promise((resolve, reject) => {
      const fire = () => {
        // The wheel turns once in ten minutes, and a stream of bytes may take longer.
        if (performance.now() < exchange.deadlineMs) {
          alarm = wheel.set(exchange.deadlineMs, fire);
          return;
        }
        exchange.abort(new AbortReason('deadline'));
        resolve(toProblem(exceeded(), exchange));
      };
      let alarm = wheel.set(exchange.deadlineMs, fire);
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
