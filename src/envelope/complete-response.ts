import type { Exchange } from './exchange.ts';

/**
 * Completes a response that the exchange did not make: a stream, a page, a file. A response that it made has all its
 * headers already, and touching those of a finished response is what costs most.
 */
export function completeResponse(
  response: Response | Promise<Response>,
  exchange: Exchange,
  complete: (response: Response, exchange: Exchange) => void,
): Response | Promise<Response> {
  if (response instanceof Promise)
    return response.then((settled) => {
      if (settled !== exchange.made) complete(settled, exchange);
      return settled;
    });
  if (response !== exchange.made) complete(response, exchange);
  return response;
}
