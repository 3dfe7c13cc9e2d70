import type { Middleware, ToProblem } from './exchange.ts';

/** Catches errors of the inner layers, so that the outer layers always get a response. */
export function errors(toProblem: ToProblem): Middleware {
  return (next) => (request, exchange) => {
    try {
      const response = next(request, exchange);
      return response instanceof Promise
        ? response.catch((error: unknown) => toProblem(error, exchange))
        : response;
    } catch (error) {
      return toProblem(error, exchange);
    }
  };
}
