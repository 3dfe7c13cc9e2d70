import { settle } from '../utils/settle.ts';
import type { Middleware } from './exchange.ts';

// Unique: no other process draws these 72 bits, and this one counts. A UUID for each request costs thrice as much.
const PROCESS = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(9)))).replace(/[+/]/g, '.');
let made = 0;

const ACCEPTABLE = /^[\w.:=+/-]{1,128}$/;

/**
 * Gives every request an id, and every answer the same one in `X-Request-ID`. The caller's own id is kept only if it is
 * 1–128 harmless characters, because it goes into logs.
 */
export function requestId(): Middleware {
  return (next) => (request, exchange) => {
    const given = request.headers.get('x-request-id');
    const id = given !== null && ACCEPTABLE.test(given) ? given : `${PROCESS}-${(made++).toString(36)}`;
    exchange.requestId = id;
    return settle(next(request, exchange), (response) => {
      response.headers.set('x-request-id', id);
      return response;
    });
  };
}
