import type { Exchange, Middleware, ToProblem } from './exchange.ts';

/** Decides who may enter. `admit` answers null when the request may, else the error that refuses it. */
export interface Admission {
  admit(request: Request, exchange: Exchange): Error | null;
  /**
   * Called when the body is there and the work begins. Answers null, or the error that refuses the request after all.
   */
  begin(exchange: Exchange): Error | null;
  /** `status` is what the handler answered, or 0 where it threw. */
  release(exchange: Exchange, status: number): void;
}

/**
 * Refuses what the process cannot serve in time, before any work was done for it. A permit is given back when the
 * handler really ends, which can be long after the caller got a 504.
 */
export function loadShedding(admission: Admission, toProblem: ToProblem): Middleware {
  return (next) => (request, exchange) => {
    if (!exchange.route.sheddable) return next(request, exchange);
    const refusal = admission.admit(request, exchange);
    if (refusal !== null) return toProblem(refusal, exchange);
    let response: Response | Promise<Response>;
    try {
      response = next(request, exchange);
    } catch (error) {
      admission.release(exchange, 0);
      throw error;
    }
    if (response instanceof Promise) return settled(response, exchange);
    admission.release(exchange, response.status);
    return response;
  };

  function settled(pending: Promise<Response>, exchange: Exchange): Promise<Response> {
    return pending.then(
      (response) => {
        admission.release(exchange, response.status);
        return response;
      },
      (error) => {
        admission.release(exchange, 0);
        throw error;
      },
    );
  }
}

/**
 * Marks where the work begins: inside of what reads the body, because a caller who sends slowly keeps nobody else from
 * the database. A permit is held from the start.
 */
export function beginWork(admission: Admission): Middleware {
  return (next) => (request, exchange) => {
    const refusal = exchange.route.sheddable ? admission.begin(exchange) : null;
    if (refusal !== null) throw refusal;
    return next(request, exchange);
  };
}
