import type { Middleware, ToProblem } from './exchange.ts';

/** Catches what the layers inside it throw or reject with, so that whoever stands outside always gets a response. */
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
