import { settle } from '../utils/settle.ts';
import type { Middleware } from './exchange.ts';

const ACCEPTABLE = /^[\w.:=+/-]{1,128}$/;
// Version 00 has exactly these four fields; an all-zero trace or parent id is invalid (W3C Trace Context, section 3.2).
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/**
 * Gives every request an id, and every answer the same one in `X-Request-ID`. The caller's own id is kept only if it is
 * 1–128 harmless characters, because it goes into logs. A well-formed `traceparent` is kept for what is called onwards.
 */
export function requestId(): Middleware {
  return (next) => (request, exchange) => {
    const given = request.headers.get('x-request-id');
    const id = given !== null && ACCEPTABLE.test(given) ? given : crypto.randomUUID();
    exchange.requestId = id;
    const traceparent = request.headers.get('traceparent');
    if (traceparent !== null && TRACEPARENT.test(traceparent)) exchange.traceparent = traceparent;
    return settle(next(request, exchange), (response) => {
      response.headers.set('x-request-id', id);
      return response;
    });
  };
}
