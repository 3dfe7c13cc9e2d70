import { settle } from '../utils/settle.ts';
import type { Middleware } from './exchange.ts';

const ALLOW_HEADERS = [
  'Authorization, Content-Disposition, Content-Type, Idempotency-Key, If-Match, If-None-Match, If-Range',
  'Last-Event-ID, Range, Repr-Digest, Traceparent, X-Request-ID',
].join(', ');
const ALLOW_METHODS = 'GET, POST, PUT, PATCH, DELETE';
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
    if (request.method === 'OPTIONS' && request.headers.has('access-control-request-method')) {
      return preflight(allowed.has(origin) ? origin : null);
    }
    return settle(next(request, exchange), (response) => {
      response.headers.append('vary', 'Origin');
      if (allowed.has(origin)) {
        response.headers.set('access-control-allow-origin', origin);
        response.headers.set('access-control-expose-headers', EXPOSE_HEADERS);
      }
      return response;
    });
  };
}

function preflight(origin: string | null): Response {
  const headers = new Headers({ vary: 'Origin' });
  if (origin !== null) {
    headers.set('access-control-allow-origin', origin);
    headers.set('access-control-allow-methods', ALLOW_METHODS);
    headers.set('access-control-allow-headers', ALLOW_HEADERS);
    headers.set('access-control-max-age', '600');
  }
  return new Response(null, { status: 204, headers });
}
