import type { Exchange, Middleware, ToProblem } from './exchange.ts';

/** Decides which requests are admitted. */
export interface Admission {
  /** Called instead of {@link admit} for a request that is never refused. */
  pass(exchange: Exchange): void;
  /** Returns null if the request is admitted, else the error that refuses it. */
  admit(request: Request, exchange: Exchange): Error | null;
  /** Called before a body is read, with the size it declares, or 0. Returns the error that refuses it, or null. */
  expectBody(exchange: Exchange, declaredBytes: number): Error | null;
  /**
   * Called before a body in chunks arrives, which is then `exchange.chunks`. Returns the error that refuses it, or null.
   */
  expectChunks(exchange: Exchange): Error | null;
  /** Called when a body of this size has arrived. Returns the error that refuses it, or null. */
  reserve(exchange: Exchange, bodyBytes: number): Error | null;
  /** Called before the work begins, after the body was read. Returns null, or the error that refuses the request. */
  begin(exchange: Exchange, nowMs?: number): Error | null;
  /** `status` is the status of the response, or 0 if the handler threw. */
  release(exchange: Exchange, status: number, nowMs?: number): void;
}

/**
 * Refuses requests that the process cannot serve in time, before doing any work for them. A permit is released when
 * the response is complete, which can be long after the caller got a 504. It covers compression, whose time does not
 * count as that of the route.
 */
export function loadShedding(admission: Admission, toProblem: ToProblem): Middleware {
  return (next) => (request, exchange) => {
    if (!exchange.route.sheddable) {
      admission.pass(exchange);
      return next(request, exchange);
    }
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
    exchange.endedMs = performance.now();
    admission.release(exchange, response.status, exchange.endedMs);
    return response;
  };

  function settled(pending: Promise<Response>, exchange: Exchange): Promise<Response> {
    return pending.then(
      (response) => {
        const { endedMs } = exchange;
        admission.release(exchange, response.status, Number.isNaN(endedMs) ? undefined : endedMs);
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
 * Marks where the work begins: inside the layer that reads the body, because a caller that sends slowly does not use
 * the database yet. The permit is held from the start.
 */
export function beginWork(admission: Admission): Middleware {
  return (next) => (request, exchange) => {
    const refusal = exchange.route.sheddable ? admission.begin(exchange, exchange.arrivedMs) : null;
    if (refusal !== null) throw refusal;
    return next(request, exchange);
  };
}
