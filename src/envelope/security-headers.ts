import { completeResponse } from './complete-response.ts';
import type { Middleware } from './exchange.ts';
import { ResponseHeaders } from './response-headers.ts';

const POLICY = 'content-security-policy';
const STRICT_POLICY = "default-src 'none'; frame-ancestors 'none'";

/**
 * Forbids sniffing, framing, and scripts on every response without its own policy (OWASP REST Security Cheat Sheet).
 * `hsts` is for deployments behind TLS.
 */
export function securityHeaders(hsts: boolean): Middleware {
  const always = {
    'x-content-type-options': 'nosniff',
    ...(hsts && { 'strict-transport-security': 'max-age=31536000; includeSubDomains' }),
  };
  const prebuilt = new ResponseHeaders({ ...always, [POLICY]: STRICT_POLICY });
  const fields = Object.entries(always);

  function protect({ headers }: Response): void {
    for (const [name, value] of fields) headers.set(name, value);
    if (!headers.has(POLICY)) headers.set(POLICY, STRICT_POLICY);
  }
  return (next) => (request, exchange) => {
    exchange.responseHeaders = prebuilt;
    return completeResponse(next(request, exchange), exchange, protect);
  };
}
