import type { Exchange, Middleware, ToProblem } from './exchange.ts';

/** Decides who may enter. `admit` answers null when the request may, else the error that refuses it. */
export interface Admission {
  admit(exchange: Exchange): Error | null;
  release(exchange: Exchange): void;
}

/**
 * Refuses what the process cannot serve in time, before any work was done for it. A permit is given back when the
 * handler really ends, which can be long after the caller got a 504.
 */
export function loadShedding(admission: Admission, toProblem: ToProblem): Middleware {
  return (next) => (request, exchange) => {
    if (!exchange.route.sheddable) return next(request, exchange);
    const refusal = admission.admit(exchange);
    if (refusal !== null) return toProblem(refusal, exchange);
    try {
      const response = next(request, exchange);
      if (response instanceof Promise) return response.finally(() => admission.release(exchange));
      admission.release(exchange);
      return response;
    } catch (error) {
      admission.release(exchange);
      throw error;
    }
  };
}
