import { settle } from '../utils/settle.ts';
import type { Middleware } from './exchange.ts';

const ALLOW_HEADERS = [
  'Authorization, Content-Disposition, Content-Type, Idempotency-Key, If-Match, If-None-Match, If-Range',
  'Last-Event-ID, Range, Repr-Digest, Traceparent, X-Request-ID',
].join(', ');
const ALLOW_METHODS = 'GET, POST, PUT, PATCH, DELETE';
const PREFLIGHT_HEADERS = {
  'access-control-allow-methods': ALLOW_METHODS,
  'access-control-allow-headers': ALLOW_HEADERS,
  'access-control-max-age': '600',
};
const EXPOSE_HEADERS = [
  'Content-Disposition, Content-Range, ETag, Idempotency-Replayed, Link, Location, RateLimit, Repr-Digest',
  'Retry-After, X-Request-ID',
].join(', ');

/**
 * Applies CORS (Fetch standard, section 3.2) for a list of allowed origins. There is no wildcard and no reflection: an
 * origin that is not on the list gets no CORS headers, so its pages cannot read the response.
 */
export function cors(allowedOrigins: readonly string[]): Middleware {
  const allowed = new Set(allowedOrigins);
  // Without allowed origins no response depends on Origin, so there is no Vary header either.
  if (allowed.size === 0) return (next) => next;
  return (next) => (request, exchange) => {
    const origin = request.headers.get('origin');
    if (origin === null) return next(request, exchange);
    return settle(next(request, exchange), (response) => {
      response.headers.append('vary', 'Origin');
      if (allowed.has(origin)) {
        response.headers.set('access-control-allow-origin', origin);
        if (!isPreflight(request)) response.headers.set('access-control-expose-headers', EXPOSE_HEADERS);
      }
      return response;
    });
  };
}

/**
 * Responds to preflight requests, which need no key. A layer of its own, inside load shedding, because under overload
 * a preflight is refused like any other request.
 */
export function preflights(allowedOrigins: readonly string[]): Middleware {
  const allowed = new Set(allowedOrigins);
  if (allowed.size === 0) return (next) => next;
  return (next) => (request, exchange) => {
    const origin = isPreflight(request) ? request.headers.get('origin') : null;
    if (origin === null) return next(request, exchange);
    return new Response(null, { status: 204, headers: allowed.has(origin) ? PREFLIGHT_HEADERS : {} });
  };
}

function isPreflight({ method, headers }: Request): boolean {
  return method === 'OPTIONS' && headers.has('access-control-request-method');
}
