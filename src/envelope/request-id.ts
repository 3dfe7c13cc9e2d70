import { completeResponse } from './complete-response.ts';
import type { Exchange, Middleware } from './exchange.ts';

// 72 random bits per process plus a counter are unique, at a fraction of the cost of a UUID per request.
const PROCESS = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(9)))).replace(/[+/]/g, '.');
// The last two digits of the counter come from a table, because formatting a number costs more than the rest.
const ENDINGS = Array.from({ length: 36 ** 2 }, (_, i) => i.toString(36).padStart(2, '0'));
let block = 0;
let start = `${PROCESS}-0`;
let next = 0;

function newId(): string {
  if (next === ENDINGS.length) {
    start = `${PROCESS}-${(++block).toString(36)}`;
    next = 0;
  }
  return start + ENDINGS[next++]!;
}

const ACCEPTABLE = /^[\w.:=+/-]{1,128}$/;

/**
 * Gives every request an ID and returns it in `X-Request-ID`. The caller's ID is used only if it is 1–128 harmless
 * characters, because it goes into logs.
 */
export function requestId(): Middleware {
  return (next) => (request, exchange) => {
    const given = request.headers.get('x-request-id');
    exchange.requestId = given !== null && ACCEPTABLE.test(given) ? given : newId();
    return completeResponse(next(request, exchange), exchange, setId);
  };
}

function setId({ headers }: Response, { requestId: id }: Exchange): void {
  headers.set('x-request-id', id);
}
