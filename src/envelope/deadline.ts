import type { DeadlineWheel } from './deadline-wheel.ts';
import { AbortReason, type Exchange, type Middleware, type ToProblem } from './exchange.ts';

/** Dependencies of the deadline layer. */
export interface DeadlineOptions {
  readonly wheel: DeadlineWheel;
  readonly toProblem: ToProblem;
  /** Creates the error that `toProblem` turns into a 504. */
  readonly exceeded: () => Error;
}

/**
 * Returns 504 at the deadline and aborts `exchange.signal`. The deadline is the smaller of the route's timeout and the
 * caller's. The handler runs until it notices the signal; its response is discarded.
 */
export function deadline({ wheel, toProblem, exceeded }: DeadlineOptions): Middleware {
  return (next) => (request, exchange) => {
    const response = next(request, exchange);
    return response instanceof Promise ? race(response, exchange) : response;
  };

  function race(pending: Promise<Response>, exchange: Exchange): Promise<Response> {
    return new Promise((resolve, reject) => {
      const fire = () => {
        // One turn of the wheel is ten minutes, and a streamed body may take longer.
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
