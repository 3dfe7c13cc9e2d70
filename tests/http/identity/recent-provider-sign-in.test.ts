import { afterAll, beforeAll, expect, test } from 'bun:test';
import { codeOf, createTwoFactorUser } from '../../support/factor-steps.ts';
import { type LyingProvider, startLyingProvider } from '../../support/lying-provider.ts';
import { Browser, CLIENT } from '../../support/openid-provider.ts';
import { complete, go, OIDC_PATH, ORIGIN } from '../../support/provider-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { PASSWORD } from '../../support/user-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

let provider: LyingProvider;
let atlas: TestApp;
beforeAll(async () => {
  provider = startLyingProvider(CLIENT.id);
  atlas = await startTestApp({
    PUBLIC_URL: ORIGIN,
    OIDC_ISSUER: provider.issuer,
    OIDC_CLIENT_ID: CLIENT.id,
    OIDC_CLIENT_SECRET: CLIENT.secret,
    SIGN_UP: 'open',
  });
}, START_TIMEOUT_MS);
afterAll(async () => {
  await atlas?.close();
  await provider?.stop();
});

/** Comes back from a provider at which somebody signed in that many minutes ago, or that does not say when. */
async function signIn(subject: string, minutes: number | null, query = '', email = `${subject}@example.com`) {
  const browser = new Browser();
  const begun = new URL((await go(atlas, browser, 'GET', OIDC_PATH + query)).headers.get('location')!);
  provider.nonce = begun.searchParams.get('nonce')!;
  provider.lies = {
    claims: {
      sub: subject,
      email,
      ...(minutes !== null && { auth_time: Math.floor(Date.now() / 1000) - minutes * 60 }),
    },
  };
  const back = new URLSearchParams({ code: 'c', state: begun.searchParams.get('state')! });
  const page = await go(atlas, browser, 'GET', `${OIDC_PATH}/callback?${back}`);
  return { browser, page, maxAge: begun.searchParams.get('max_age') };
}

const deleteUser = (browser: Browser) => go(atlas, browser, 'DELETE', '/v1/users/me', {});

test.each([
  ['long ago', 11],
  ['at a time that the provider does not say', null],
])('who signed in at the provider %s has no recent session', async (_, minutes) => {
  const { browser, page, maxAge } = await signIn(`sso-${minutes}`, minutes);
  expect([page.status, maxAge]).toEqual([200, '2592000']);
  expect((await go(atlas, browser, 'GET', '/v1/users/me')).status).toBe(200);
  await expectProblem(atlas, await deleteUser(browser), 403, 'reauthentication_required');
});

test('who asks for a recent session is asked again by the provider, and gets none unless it says so', async () => {
  for (const minutes of [11, null]) {
    const { browser, page, maxAge } = await signIn('asked', minutes, '?recent=true');
    expect(maxAge).toBe('60');
    await expectProblem(atlas, page, 401, 'provider_sign_in_failed');
    expect((await go(atlas, browser, 'GET', '/v1/users/me')).status).toBe(401);
  }
  const { browser, page } = await signIn('asked', 0, '?recent=true');
  expect(page.status).toBe(200);
  expect((await deleteUser(browser)).status).toBe(204);
});

test('a session is recent for 10 minutes from when its person signed in at the provider, and no clock extends that', async () => {
  const { browser } = await signIn('nine', 9);
  const [session] = await atlas.sql`
    SELECT extract(epoch FROM now() - authenticated_at)::int AS age, authenticated_at <= created_at AS before
    FROM sessions WHERE user_id = (SELECT id FROM users WHERE email = 'nine@example.com')`;
  expect(session!.before).toBe(true);
  expect(Math.abs(session!.age - 540)).toBeLessThan(30);
  expect((await deleteUser(browser)).status).toBe(204);
  await signIn('ahead', -60);
  const [ahead] = await atlas.sql`
    SELECT authenticated_at <= created_at AS before FROM sessions
    WHERE user_id = (SELECT id FROM users WHERE email = 'ahead@example.com')`;
  expect(ahead!.before).toBe(true);
});

test('the code of a second factor does not make a session recent, nor less so', async () => {
  const user = await createTwoFactorUser(atlas);
  const first = await signIn('factored', 11, '', user.email);
  const proof = { password: PASSWORD, code: codeOf(user.secret) };
  expect((await complete(atlas, first.browser, proof)).status).toBe(201);
  for (const [minutes, code, status] of [
    [11, user.recoveryCodes[0], 403],
    [9, user.recoveryCodes[1], 204],
  ] as const) {
    const { browser } = await signIn('factored', minutes, '', user.email);
    expect((await complete(atlas, browser, { code })).status).toBe(201);
    expect((await deleteUser(browser)).status).toBe(status);
  }
});
