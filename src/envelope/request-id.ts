import { completeResponse } from './complete-response.ts';
import type { Exchange, Middleware } from './exchange.ts';

// 72 random bits per process plus a counter are unique, at a third of the cost of a UUID per request.
const PROCESS = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(9)))).replace(/[+/]/g, '.');
let count = 0;

const ACCEPTABLE = /^[\w.:=+/-]{1,128}$/;

/**
 * Gives every request an ID and returns it in `X-Request-ID`. The caller's ID is used only if it is 1–128 harmless
 * characters, because it goes into logs.
 */
export function requestId(): Middleware {
  return (next) => (request, exchange) => {
    const given = request.headers.get('x-request-id');
    exchange.requestId =
      given !== null && ACCEPTABLE.test(given) ? given : `${PROCESS}-${(count++).toString(36)}`;
    return completeResponse(next(request, exchange), exchange, setId);
  };
}

function setId({ headers }: Response, { requestId: id }: Exchange): void {
  headers.set('x-request-id', id);
}
