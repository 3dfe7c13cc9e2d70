import type { Middleware } from './exchange.ts';

const HOST = /^(?:[\w.-]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?$/;

/**
 * Rejects a `Host` that is missing, repeated, or contains more than a name and a port. Two Host headers arrive joined
 * by a comma, and a path in the Host would shift the path of the URL (RFC 9112, section 3.2).
 */
export function hostCheck(invalid: () => Error): Middleware {
  // Nearly every request names the same host as the previous one.
  let lastValid: string | null = null;
  return (next) => (request, exchange) => {
    const host = request.headers.get('host');
    if (host === null || (host !== lastValid && !HOST.test(host))) throw invalid();
    lastValid = host;
    return next(request, exchange);
  };
}
