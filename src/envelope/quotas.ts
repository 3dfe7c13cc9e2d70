import type { Exchange, FetchHandler, Middleware, RequestSlots, ToProblem } from './exchange.ts';

/**
 * Refuses requests beyond the quota of their caller, before their bodies are read. A request is in flight until its
 * response has been made, even if the caller got a 504 before.
 */
export function quotas(toProblem: ToProblem): Middleware {
  return (next) => (request, exchange) => {
    const quota = exchange.principal === null ? null : exchange.principal.quota;
    if (quota === null) return next(request, exchange);
    const refusal = quota.take(exchange.arrivedMs);
    if (refusal !== null) return toProblem(refusal, exchange);
    const { slots } = quota;
    return slots === null ? next(request, exchange) : counted(slots, next, request, exchange);
  };
}

function counted(slots: RequestSlots, next: FetchHandler, request: Request, exchange: Exchange) {
  let response: Response | Promise<Response>;
  try {
    response = next(request, exchange);
  } catch (error) {
    slots.release();
    throw error;
  }
  if (response instanceof Promise) return response.finally(() => slots.release());
  slots.release();
  return response;
}
