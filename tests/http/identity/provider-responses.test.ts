import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { makeOneTimeToken } from '../../../src/features/identity/one-time-token.ts';
import { Browser, CLIENT, startProvider, type TestProvider } from '../../support/openid-provider.ts';
import {
  complete,
  createAccount,
  go,
  identitiesOf,
  OIDC_PATH,
  ORIGIN,
  signInThrough,
  throughProvider,
  whoIs,
} from '../../support/provider-steps.ts';
import { SECRETS_KEY } from '../../support/secrets-key.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

let provider: TestProvider;
let atlas: TestApp;
beforeAll(async () => {
  provider = await startProvider(ORIGIN);
  atlas = await startTestApp({ ...provider.settings, SIGN_UP: 'open' });
}, START_TIMEOUT_MS);
afterAll(async () => {
  await atlas?.close();
  await provider?.stop();
});

describe('a response of the provider', () => {
  test('is refused in another browser, and with another state', async () => {
    const { subject } = createAccount(provider);
    const [browser, other] = [new Browser(), new Browser()];
    const back = await throughProvider(atlas, browser, subject);
    await expectProblem(atlas, await go(atlas, other, 'GET', back), 401, 'provider_sign_in_failed');
    await go(atlas, other, 'GET', OIDC_PATH);
    await expectProblem(atlas, await go(atlas, other, 'GET', back), 401, 'provider_sign_in_failed');
    expect(await whoIs(atlas, other)).toBeNull();
    // And the rightful one can still end the sign-in.
    expect((await go(atlas, browser, 'GET', back)).status).toBe(200);
  });

  test('is refused with a cookie that another host of the domain can set', async () => {
    const { subject } = createAccount(provider);
    const [attacker, browser] = [new Browser(), new Browser()];
    const back = await throughProvider(atlas, attacker, subject);
    const jar = attacker.cookies.get(ORIGIN)!;
    browser.cookies.set(ORIGIN, new Map([['\u00a0__Host-atlas_oidc', jar.get('__Host-atlas_oidc')!]]));
    await expectProblem(atlas, await go(atlas, browser, 'GET', back), 401, 'provider_sign_in_failed');
    expect(await whoIs(atlas, browser)).toBeNull();
  });

  test('is refused the second time', async () => {
    const { subject } = createAccount(provider);
    const browser = new Browser();
    const back = await throughProvider(atlas, browser, subject);
    expect((await go(atlas, browser, 'GET', back)).status).toBe(200);
    browser.cookies.get(ORIGIN)!.delete('__Host-atlas_session');
    await expectProblem(atlas, await go(atlas, browser, 'GET', back), 401, 'provider_sign_in_failed');
    expect(await whoIs(atlas, browser)).toBeNull();
  });

  test('is refused if it names another issuer, or an error, or has an invented code', async () => {
    const { subject } = createAccount(provider);
    const browser = new Browser();
    const back = new URL(await throughProvider(atlas, browser, subject), ORIGIN);
    const changed = (change: Record<string, string>) => {
      const url = new URL(back);
      for (const [name, value] of Object.entries(change)) url.searchParams.set(name, value);
      return go(atlas, browser, 'GET', url.pathname + url.search);
    };
    for (const change of [{ iss: 'https://evil.example' }, { error: 'access_denied' }, { code: 'invented' }])
      await expectProblem(atlas, await changed(change), 401, 'provider_sign_in_failed');
    expect(await whoIs(atlas, browser)).toBeNull();
  });
});

test.each([
  'https://evil.example',
  '//evil.example',
  '/\\evil.example',
  '/\t/evil.example',
  'javascript:alert(1)',
  'docs',
  '',
])('the sign-in cannot be made to lead to %j', async (target) => {
  const response = await go(
    atlas,
    new Browser(),
    'GET',
    `${OIDC_PATH}?redirect=${encodeURIComponent(target)}`,
  );
  await expectProblem(atlas, response, 400, 'invalid_request', ['/query/redirect']);
});

describe('sign-up by invitation', () => {
  const invite = async (app: TestApp, email: string) => {
    const { token, hash } = makeOneTimeToken();
    await app.sql`
      INSERT INTO invitations (id, organization, email, role, secret_hash, invited_by, expires_at)
      VALUES (gen_random_uuid(), 'acme', ${email}, 'member', ${hash}, 'test', now() + interval '1 day')`;
    return token;
  };

  test('makes a member of somebody with the token of an invitation for the address, and of nobody else', async () => {
    const app = await startTestApp({ ...provider.settings, SIGN_UP: 'invitation' });
    try {
      const [invited, other] = [createAccount(provider), createAccount(provider)];
      const browser = new Browser();
      const without = await signInThrough(app, browser, invited.subject);
      await expectProblem(app, without, 403, 'sign_up_closed');
      const query = `?invitation=${await invite(app, invited.email)}`;
      await expectProblem(
        app,
        await signInThrough(app, new Browser(), other.subject, query),
        422,
        'invitation_invalid',
      );
      expect(await app.sql`SELECT FROM users WHERE email = ${other.email}`).toHaveLength(0);
      expect((await signInThrough(app, browser, invited.subject, query)).status).toBe(200);
      expect(await whoIs(app, browser)).toBe(invited.email);
      const members = await app.sql`
        SELECT role FROM memberships m JOIN users u ON u.id = m.user_id WHERE u.email = ${invited.email}`;
      expect(members).toMatchObject([{ role: 'member' }]);
    } finally {
      await app.close();
    }
  });
});

test('a provider that is down is a problem that says so, and signs nobody in', async () => {
  const gone = await startProvider(ORIGIN);
  const app = await startTestApp(gone.settings);
  try {
    const { subject } = createAccount(gone);
    const browser = new Browser();
    const back = await throughProvider(app, browser, subject);
    await gone.stop();
    const response = await go(app, browser, 'GET', back);
    await expectProblem(app, response, 503, 'provider_unavailable');
    expect(response.headers.get('retry-after')).toBe('10');
    expect(await whoIs(app, browser)).toBeNull();
    // What does not sign in needs no provider.
    expect((await app.call('GET', '/v1/ping')).status).toBe(200);
  } finally {
    await app.close();
  }
});

test('responses that are none are limited for each address, before the provider is called', async () => {
  const browser = new Browser();
  const back = await throughProvider(atlas, browser, createAccount(provider).subject);
  const invented = back.replace(/code=[^&]+/, 'code=invented');
  const statuses = new Set<number>();
  for (let i = 0; i < 25; i++) statuses.add((await go(atlas, browser, 'GET', invented)).status);
  expect([...statuses]).toEqual([401, 429]);
});

test('without a provider, nobody can sign in through one', async () => {
  const app = await startTestApp();
  try {
    await expectProblem(app, await go(app, new Browser(), 'GET', OIDC_PATH), 404, 'provider_off');
    const back = `${OIDC_PATH}/callback?code=x&state=y`;
    await expectProblem(app, await go(app, new Browser(), 'GET', back), 404, 'provider_off');
    await expectProblem(app, await complete(app, new Browser(), {}), 404, 'provider_off');
  } finally {
    await app.close();
  }
});

test('over plain HTTP off this host, the sign-in is refused with advice', async () => {
  const app = await startTestApp({ ...provider.settings, PUBLIC_URL: 'http://atlas.example.com' });
  try {
    await expectProblem(app, await go(app, new Browser(), 'GET', OIDC_PATH), 403, 'https_required');
  } finally {
    await app.close();
  }
});

test('neither the cookie nor the logs contain what the provider is sent in the end', async () => {
  const sealed = await startTestApp({ ...provider.settings, SIGN_UP: 'open', SECRETS_KEY });
  try {
    const { subject } = createAccount(provider);
    const browser = new Browser();
    await signInThrough(sealed, browser, subject, '?redirect=/a-path-of-this-site');
    const cookie = browser.cookies.get(ORIGIN)!.get('__Host-atlas_oidc')!;
    expect(cookie).toStartWith('v1.');
    const state = /state=([\w-]+)/.exec(await throughProvider(sealed, browser, subject))![1]!;
    for (const text of [state, CLIENT.secret]) expect(sealed.logs.join('')).not.toContain(text);
    expect(await identitiesOf(sealed, subject)).toHaveLength(1);
  } finally {
    await sealed.close();
  }
});
