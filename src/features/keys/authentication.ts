import type { Exchange, FetchHandler, Middleware, Principal } from '../../envelope/exchange.ts';
import { AtlasError } from '../../errors.ts';
import type { KeyService } from './service.ts';

const BEARER = /^bearer +(\S+) *$/i;
const CHALLENGE = { 'WWW-Authenticate': 'Bearer realm="atlas"' };

/** Verifies the API key of requests to routes that name a scope, and refuses those without one (RFC 6750). */
export function authentication(keys: Pick<KeyService, 'verify'>): Middleware {
  return (next) => (request, exchange) => {
    const { scope } = exchange.route;
    if (scope === null) return next(request, exchange);
    const header = request.headers.get('authorization');
    const token = header === null ? undefined : BEARER.exec(header)?.[1];
    if (token === undefined) throw unauthenticated('Send Authorization: Bearer followed by an API key.');
    const principal = keys.verify(token);
    if (principal instanceof Promise)
      return principal.then((found) => enter(found, scope, next, request, exchange));
    return enter(principal, scope, next, request, exchange);
  };
}

function enter(
  principal: Principal | null,
  scope: string,
  next: FetchHandler,
  request: Request,
  exchange: Exchange,
) {
  if (principal === null) throw unauthenticated('The API key is unknown, revoked or expired.');
  if (!principal.scopes.includes(scope))
    throw new AtlasError('forbidden', `This route needs the scope ${scope}.`);
  exchange.principal = principal;
  return next(request, exchange);
}

function unauthenticated(detail: string): AtlasError {
  return new AtlasError('unauthenticated', detail, { headers: CHALLENGE });
}
