import type { Exchange, FetchHandler, Middleware, Principal } from '../../envelope/exchange.ts';
import { AtlasError } from '../../errors.ts';
import { partyOf } from '../../utils/party.ts';
import { AuthenticatedBody, TOKEN_CHECK_MS } from './authenticated-body.ts';
import type { Credentials } from './credentials.ts';
import { isPersonalScope } from './scope-kinds.ts';
import { cookieToken, isByCookie, isSameOrigin, requireSameOrigin } from './session-cookie.ts';
import { publicPart } from './token.ts';

const BEARER = /^bearer +(\S+) *$/i;
const USUAL = 'Bearer ';
const CHALLENGE = { 'WWW-Authenticate': 'Bearer realm="atlas"' };
// Shared caches keep out of what is requested with the Authorization header (RFC 9111, section 3.5), but not of what a
// cookie authorizes. And what a person has read must not stay in a browser that others use.
const UNCACHED = { 'cache-control': 'no-store' };

// Callers choose headers, so both are bounded.
const CALLERS_MAX = 10_000;
const HEADER_LENGTH_MAX = 128;

/**
 * Requires a valid token with the scope of the route, unless the route needs none (RFC 6750). A page of this Atlas, at
 * its public origin, may send it in a cookie.
 */
export function authentication(
  credentials: Pick<Credentials, 'verify'>,
  publicOrigin: string | null = null,
): Middleware {
  // The same few callers send the same header again and again. Finding its token costs less than cutting it out.
  const tokens = new Map<string, string>();

  function tokenOf(header: string): string | undefined {
    const known = tokens.get(header);
    if (known !== undefined) return known;
    const token = bearerToken(header);
    if (token === undefined || header.length > HEADER_LENGTH_MAX) return token;
    if (tokens.size >= CALLERS_MAX) tokens.clear();
    tokens.set(header, token);
    return token;
  }

  /** Only without the header: who sends a token does not act by the cookie of somebody who was there before. */
  function tokenOfPage(request: Request, exchange: Exchange): string | undefined {
    const token = cookieToken(request.headers.get('cookie'));
    if (token === undefined) return undefined;
    exchange.responseHeaders = exchange.responseHeaders.with(UNCACHED);
    requireSameOrigin(request, publicOrigin);
    return token;
  }

  // By scope, the caller that had it last. A principal never changes: one with other scopes is another object.
  const admitted = new Map<string, Principal | null>();

  function enter(
    principal: Principal | null,
    scope: string,
    next: FetchHandler,
    request: Request,
    exchange: Exchange,
  ) {
    if (admitted.get(scope) !== principal) {
      const refused = refusalOf(principal, scope);
      if (refused !== null) throw refused;
      admitted.set(scope, principal);
    }
    exchange.principal = principal;
    return next(request, exchange);
  }

  return (next) => (request, exchange) => {
    const { scope } = exchange.route;
    if (scope === null) return next(request, exchange);
    const header = request.headers.get('authorization');
    const token = header === null ? tokenOfPage(request, exchange) : tokenOf(header);
    if (token === undefined)
      throw unauthenticated('Send Authorization: Bearer atlas_live_… with an API key, or sign in.');
    const principal = credentials.verify(token, exchange.startMs);
    if (principal instanceof Promise)
      return principal.then((found) => {
        exchange.arrivedMs = performance.now();
        return enter(found, scope, next, request, exchange);
      });
    return enter(principal, scope, next, request, exchange);
  };
}

/**
 * Checks the token again when the body has arrived. The caller decides how long that takes, and with a token that was
 * revoked meanwhile nothing must be posted or stored.
 */
export function authenticationOfBody(credentials: Pick<Credentials, 'verify'>): Middleware {
  const refusal = async (request: Request, scope: string) => {
    const token = sentToken(request);
    return refusalOf(token === undefined ? null : await credentials.verify(token), scope);
  };

  return (next) => (request, exchange) => {
    const { route, principal, body, startMs, arrivedMs } = exchange;
    const { scope } = route;
    if (scope === null || principal === null) return next(request, exchange);
    if (body !== null) exchange.body = new AuthenticatedBody(body, startMs, () => refusal(request, scope));
    if (arrivedMs - startMs <= TOKEN_CHECK_MS) return next(request, exchange);
    return refusal(request, scope).then((refused) => {
      if (refused !== null) throw refused;
      exchange.arrivedMs = performance.now();
      return next(request, exchange);
    });
  };
}

/**
 * Returns the public ID in the token of a request, or null. It is not verified, so use it only to tell callers apart.
 */
export function publicIdOf(request: Request): string | null {
  const token = sentToken(request);
  return token === undefined ? null : publicPart(token);
}

/** Returns what is known about the caller of a request without verifying its key, for logs. */
export function callerOf(
  credentials: Pick<Credentials, 'peek'>,
): (request: Request) => { owner?: string; keyId?: string } {
  return (request) => {
    const token = sentToken(request);
    if (token === undefined) return {};
    const { owner } = credentials.peek(token) ?? {};
    const keyId = publicPart(token) ?? undefined;
    return { ...(owner !== undefined && { owner }), ...(keyId !== undefined && { keyId }) };
  };
}

/** Returns a function that finds the party of a request, if its token was verified recently: see `partyOf`. */
export function partyReader(credentials: Pick<Credentials, 'peek'>): (request: Request) => string | null {
  return (request) => {
    const token = sentToken(request);
    const principal = token === undefined ? null : credentials.peek(token);
    return principal && partyOf(principal);
  };
}

/** Returns the token that a request was sent with: that of the header, and only without one that of the cookie. */
export function sentToken({ headers }: Request): string | undefined {
  const header = headers.get('authorization');
  return header === null ? cookieToken(headers.get('cookie')) : bearerToken(header);
}

/**
 * Returns a function that finds the session that a request was sent with, if it may be used. A change from a page of
 * another site counts as without it: that page must not end the session by a sign-in of its own.
 */
export function sessionReader(credentials: Pick<Credentials, 'verify'>, publicOrigin: string | null) {
  return async (request: Request): Promise<{ id: string; userId: string } | null> => {
    if (isByCookie(request) && !isSameOrigin(request, publicOrigin)) return null;
    const token = sentToken(request);
    const { keyId: id, userId = null } = (token !== undefined && (await credentials.verify(token))) || {};
    return id === undefined || userId === null ? null : { id, userId };
  };
}

function bearerToken(header: string): string | undefined {
  // Nearly all callers use this form, and a slice costs a fifth of the regular expression.
  const isUsual = header.startsWith(USUAL) && header.lastIndexOf(' ') === USUAL.length - 1;
  return isUsual ? header.slice(USUAL.length) : BEARER.exec(header)?.[1];
}

/** Returns the error that refuses the scope to the caller, or null. */
function refusalOf(principal: Principal | null, scope: string): AtlasError | null {
  if (principal === null) return unauthenticated('The API key or session is unknown, revoked, or expired.');
  if (!principal.scopes.includes(scope))
    return new AtlasError('forbidden', `This route requires the scope ${scope}.`);
  // A suspension is of the organization: the person stays who they are.
  if (!principal.suspended || isPersonalScope(scope)) return null;
  return new AtlasError('organization_suspended', `The organization ${principal.organization} is suspended.`);
}

function unauthenticated(detail: string): AtlasError {
  return new AtlasError('unauthenticated', detail, { headers: CHALLENGE });
}
