import { settle } from '../utils/settle.ts';
import type { Middleware } from './exchange.ts';

/** What pages of allowed origins may send: names of methods and header fields. */
export interface PreflightLists {
  readonly methods: readonly string[];
  readonly headers: readonly string[];
}

/**
 * Applies CORS (Fetch standard, section 3.2) for a list of allowed origins. There is no wildcard and no reflection: an
 * origin that is not on the list gets no CORS headers, so its pages cannot read the response. `exposedHeaders` are those
 * that pages of the others can read.
 */
export function cors(allowedOrigins: readonly string[], exposedHeaders: readonly string[]): Middleware {
  const exposed = exposedHeaders.join(', ');
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
        if (!isPreflight(request)) response.headers.set('access-control-expose-headers', exposed);
      }
      return response;
    });
  };
}

/**
 * Responds to preflight requests, which need no key. A layer of its own, inside load shedding, because under overload
 * a preflight is refused like any other request.
 */
export function preflights(
  allowedOrigins: readonly string[],
  { methods, headers }: PreflightLists,
): Middleware {
  const permissions = {
    'access-control-allow-methods': methods.join(', '),
    'access-control-allow-headers': headers.join(', '),
    'access-control-max-age': '600',
  };
  const allowed = new Set(allowedOrigins);
  if (allowed.size === 0) return (next) => next;
  return (next) => (request, exchange) => {
    const origin = isPreflight(request) ? request.headers.get('origin') : null;
    if (origin === null) return next(request, exchange);
    return new Response(null, { status: 204, headers: allowed.has(origin) ? permissions : {} });
  };
}

function isPreflight({ method, headers }: Request): boolean {
  return method === 'OPTIONS' && headers.has('access-control-request-method');
}
