import { expect } from 'bun:test';
import type { Browser, TestProvider } from './openid-provider.ts';
import type { TestApp } from './test-app.ts';
import { visit } from './user-steps.ts';

/** The origin of Atlas in tests with a provider. */
export const ORIGIN = 'http://127.0.0.1:8000';
/** Where people sign in through the provider. */
export const OIDC_PATH = '/v1/sessions/oidc';

let people = 0;

/** Makes somebody known to the provider. */
export function createAccount(
  { accounts }: TestProvider,
  { email, isVerified = true }: { email?: string; isVerified?: boolean } = {},
): { subject: string; email: string } {
  const subject = `subject-${++people}`;
  const account = {
    email: email ?? `${subject}@example.com`,
    email_verified: isVerified,
    name: 'Ada Lovelace',
  };
  accounts.set(subject, account);
  return { subject, email: account.email };
}

/** Sends a browser to Atlas: from the site of the provider if it is on the way back, otherwise from a page of Atlas. */
export async function go(app: TestApp, browser: Browser, method: string, path: string, json?: object) {
  const cookie = browser.cookieOf(ORIGIN, path.includes('/callback'));
  const headers = { Cookie: cookie, ...(json && { 'Sec-Fetch-Site': 'same-origin' }) };
  const address = `10.0.0.${people % 250}`;
  return browser.keep(ORIGIN, await visit(app, method, path, { headers, ...(json && { json }), address }));
}

/** Signs in at the provider, and returns the path at Atlas that it sends the browser back to. */
export async function throughProvider(
  app: TestApp,
  browser: Browser,
  subject: string,
  query = '',
): Promise<string> {
  const begun = await go(app, browser, 'GET', OIDC_PATH + query);
  expect(begun.status).toBe(303);
  const back = new URL(await browser.signInAt(begun.headers.get('location')!, subject));
  expect(back.origin).toBe(ORIGIN);
  return back.pathname + back.search;
}

/** Signs in at the provider, and returns the response of Atlas to the way back. */
export async function signInThrough(
  app: TestApp,
  browser: Browser,
  subject: string,
  query = '',
): Promise<Response> {
  return go(app, browser, 'GET', await throughProvider(app, browser, subject, query));
}

/** Who is signed in in this browser; null if nobody is. */
export async function whoIs(app: TestApp, browser: Browser): Promise<string | null> {
  const response = await go(app, browser, 'GET', '/v1/users/me');
  return response.status === 200 ? ((await response.json()) as { email: string }).email : null;
}

/** Sends what is missing, as the page does. */
export const complete = (app: TestApp, browser: Browser, json: object) =>
  go(app, browser, 'POST', `${OIDC_PATH}/completions`, json);

export const identitiesOf = ({ sql }: TestApp, subject: string) =>
  sql`SELECT * FROM user_identities WHERE subject = ${subject}`;
