import type { Fields } from '../../../envelope/response-headers.ts';
import { sentCookies } from '../sent-cookies.ts';
import { FLOW_MINUTES } from './domain.ts';

const NAME = '__Host-atlas_oidc';
const COMMON = `Path=/; Max-Age=${FLOW_MINUTES * 60}; Secure; HttpOnly`;

/** The cookie of a sign-in on its way. Lax, because the provider sends the browser back from another site. */
export const flowCookie = (record: string): Fields => ({
  'Cache-Control': 'no-store',
  'Set-Cookie': `${NAME}=${record}; ${COMMON}; SameSite=Lax`,
});

/** The cookie of somebody who has to prove something more, on a page of this site. It replaces the other one. */
export const pendingCookie = (secret: string): Fields => ({
  'Cache-Control': 'no-store',
  'Set-Cookie': `${NAME}=${secret}; ${COMMON}; SameSite=Strict`,
});

/** Returns the value of the cookie; undefined if there is none, or more than one. */
export function sentCookie({ headers }: Request): string | undefined {
  const values = sentCookies(headers.get('cookie'), NAME);
  return values.length === 1 ? values[0] : undefined;
}
