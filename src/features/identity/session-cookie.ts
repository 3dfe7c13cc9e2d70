import type { Fields } from '../../envelope/response-headers.ts';
import { AtlasError } from '../../errors.ts';
import { sentCookies } from './sent-cookies.ts';
import type { StartedSession } from './session.ts';

// With this prefix browsers accept it over TLS only, and from this host only: no other host of the domain can set it.
const NAME = '__Host-atlas_session';
const ATTRIBUTES = 'Path=/; Secure; HttpOnly; SameSite=Strict';
const TOKEN_PREFIX = 'atlas_session_';
const SAFE_METHODS: readonly string[] = ['GET', 'HEAD', 'OPTIONS'];

/** Fields of every response that contains the token of a session, in its body or in the cookie. */
const PRIVATE: Fields = { 'Cache-Control': 'no-store' };

/**
 * Returns the token of a session in the cookies of a request, or undefined. Of two with the name, neither counts: a
 * browser sends one, and which of them is meant cannot be known.
 */
export function cookieToken(header: string | null): string | undefined {
  const [token, ...others] = sentCookies(header, NAME);
  return others.length === 0 && token?.startsWith(TOKEN_PREFIX) ? token : undefined;
}

/** The fields of a response that starts or rotates a session: with its token in the cookie, or in the body. */
export function sessionFields({ session, token }: StartedSession, isCookie: boolean): Fields {
  if (!isCookie) return PRIVATE;
  const seconds = Math.max(0, Math.floor((session.expiresAt.getTime() - Date.now()) / 1000));
  return { ...PRIVATE, 'Set-Cookie': `${NAME}=${token}; Max-Age=${seconds}; ${ATTRIBUTES}` };
}

/** The fields of a response after which the browser must not send the cookie any more. */
export const CLEARED_COOKIE: Fields = { 'Set-Cookie': `${NAME}=; Max-Age=0; ${ATTRIBUTES}` };

/**
 * Whether a request is safe, or comes from a page of this Atlas. Browsers report where a request comes from in
 * `Sec-Fetch-Site`; older ones, and those that reach Atlas without TLS, in `Origin`.
 */
export function isSameOrigin({ method, headers }: Request, origin: string | null): boolean {
  if (SAFE_METHODS.includes(method)) return true;
  const site = headers.get('sec-fetch-site');
  return site === null ? origin !== null && headers.get('origin') === origin : site === 'same-origin';
}

/**
 * Throws `cross_site_request` unless a change comes from a page of this Atlas: a cookie alone does not show that the
 * person wants it (OWASP Cross-Site Request Forgery Prevention Cheat Sheet).
 */
export function requireSameOrigin(request: Request, origin: string | null): void {
  if (!isSameOrigin(request, origin))
    throw new AtlasError(
      'cross_site_request',
      'A change that a cookie authorizes must come from a page of this Atlas: Sec-Fetch-Site or Origin says otherwise, or neither was sent.',
    );
}

/** Whether a request is authorized by the cookie. */
export const isByCookie = ({ headers }: Request): boolean => headers.get('authorization') === null;
