import { settle } from '../utils/settle.ts';
import type { Middleware } from './exchange.ts';

/**
 * Forbids sniffing, framing, and scripts on every response without its own policy (OWASP REST Security Cheat Sheet).
 * `hsts` is for deployments behind TLS.
 */
export function securityHeaders(hsts: boolean): Middleware {
  function protect(response: Response): Response {
    const { headers } = response;
    headers.set('x-content-type-options', 'nosniff');
    if (!headers.has('content-security-policy')) {
      headers.set('content-security-policy', "default-src 'none'; frame-ancestors 'none'");
    }
    if (hsts) headers.set('strict-transport-security', 'max-age=31536000; includeSubDomains');
    return response;
  }
  return (next) => (request, exchange) => settle(next(request, exchange), protect);
}
