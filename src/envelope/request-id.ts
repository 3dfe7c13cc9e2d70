import { settle } from '../utils/settle.ts';
import type { Middleware } from './exchange.ts';

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
    const id = given !== null && ACCEPTABLE.test(given) ? given : `${PROCESS}-${(count++).toString(36)}`;
    exchange.requestId = id;
    return settle(next(request, exchange), (response) => {
      response.headers.set('x-request-id', id);
      return response;
    });
  };
}
