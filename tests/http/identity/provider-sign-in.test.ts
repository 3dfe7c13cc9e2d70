import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { codeOf, createTwoFactorUser, subjectsTo } from '../../support/factor-steps.ts';
import { Browser, startProvider, type TestProvider } from '../../support/openid-provider.ts';
import {
  complete,
  createAccount,
  go,
  identitiesOf,
  OIDC_PATH,
  ORIGIN,
  signInThrough,
  whoIs,
} from '../../support/provider-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { createUser, PASSWORD, passwordHash, type TestUser, visit } from '../../support/user-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

let provider: TestProvider;
let atlas: TestApp;
let trusting: TestApp;
beforeAll(async () => {
  provider = await startProvider(ORIGIN);
  atlas = await startTestApp({ ...provider.settings, SIGN_UP: 'open' });
  trusting = await startTestApp({ ...provider.settings, SIGN_UP: 'off', OIDC_TRUSTS_EMAIL: 'true' });
}, START_TIMEOUT_MS);
afterAll(async () => {
  await atlas?.close();
  await trusting?.close();
  await provider?.stop();
});

describe('somebody whom nobody knows yet', () => {
  test('becomes a user, is signed in by a cookie, and goes on to a page of this site', async () => {
    const browser = new Browser();
    const { subject, email } = createAccount(provider);
    const page = await signInThrough(atlas, browser, subject, '?redirect=/docs%3Fa%3D1');
    expect(page.status).toBe(200);
    expect(page.headers.get('content-type')).toBe('text/html; charset=UTF-8');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(await page.text()).toContain('<meta http-equiv="refresh" content="0;url=/docs?a=1">');
    expect(browser.cookies.get(ORIGIN)!.get('__Host-atlas_session')).toContain('SameSite=Strict');
    expect(browser.cookies.get(ORIGIN)!.get('__Host-atlas_oidc')).toMatch(
      /; Path=\/; Max-Age=600; Secure; HttpOnly; SameSite=Lax$/,
    );
    expect(await whoIs(atlas, browser)).toBe(email);
    const [user] = await atlas.sql`SELECT * FROM users WHERE email = ${email}`;
    expect(user).toMatchObject({ name: 'Ada Lovelace', passwordHash: null, confirmedAt: expect.any(Date) });
    expect(await identitiesOf(atlas, subject)).toMatchObject([{ issuer: provider.issuer, userId: user!.id }]);
    const audited =
      await atlas.sql`SELECT action FROM audit_entries WHERE target_id = ${user!.id} ORDER BY id`;
    expect(audited.map(({ action }) => action)).toEqual(['user.created', 'user.identity_linked']);
  });

  test('is the same user the next time, in another browser, also with another address at the provider', async () => {
    const { subject, email } = createAccount(provider);
    await signInThrough(atlas, new Browser(), subject);
    provider.accounts.set(subject, { email: 'renamed@example.com', email_verified: true });
    const browser = new Browser();
    expect((await signInThrough(atlas, browser, subject)).status).toBe(200);
    expect(await whoIs(atlas, browser)).toBe(email);
    expect(await atlas.sql`SELECT FROM users WHERE email = 'renamed@example.com'`).toHaveLength(0);
  });

  test('is refused with an address that the provider has not verified', async () => {
    const browser = new Browser();
    const { subject, email } = createAccount(provider, { isVerified: false });
    await expectProblem(
      atlas,
      await signInThrough(atlas, browser, subject),
      403,
      'provider_email_unverified',
    );
    expect(await atlas.sql`SELECT FROM users WHERE email = ${email}`).toHaveLength(0);
    expect(await whoIs(atlas, browser)).toBeNull();
  });

  test('is refused if nobody can sign up', async () => {
    const browser = new Browser();
    const { subject, email } = createAccount(provider);
    await expectProblem(trusting, await signInThrough(trusting, browser, subject, ''), 403, 'sign_up_closed');
    expect(await trusting.sql`SELECT FROM users WHERE email = ${email}`).toHaveLength(0);
  });

  test('takes an address over that somebody else has signed up with and never confirmed', async () => {
    const { subject, email } = createAccount(provider);
    await atlas.sql`INSERT INTO users (id, email, password_hash) VALUES (gen_random_uuid(), ${email}, ${await passwordHash()})`;
    const browser = new Browser();
    expect((await signInThrough(atlas, browser, subject)).status).toBe(200);
    expect(await whoIs(atlas, browser)).toBe(email);
    const withFormer = await visit(atlas, 'POST', '/v1/sessions', { json: { email, password: PASSWORD } });
    await expectProblem(atlas, withFormer, 401, 'sign_in_failed');
  });
});

describe('with the address of a user who exists', () => {
  async function pending(user: Pick<TestUser, 'email'>, browser = new Browser()) {
    const { subject } = createAccount(provider, { email: user.email });
    const page = await signInThrough(atlas, browser, subject);
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('One more step');
    expect(browser.cookies.get(ORIGIN)!.get('__Host-atlas_session')).toBeUndefined();
    expect(await identitiesOf(atlas, subject)).toHaveLength(0);
    return { browser, subject };
  }

  test('nobody is signed in or linked before the password, and a mail reports the link', async () => {
    const user = await createUser(atlas, { passwordHash: await passwordHash() });
    const { browser, subject } = await pending(user);
    expect(await whoIs(atlas, browser)).toBeNull();
    await expectProblem(
      atlas,
      await complete(atlas, browser, { password: 'a wrong one' }),
      401,
      'sign_in_failed',
    );
    await expectProblem(atlas, await complete(atlas, browser, {}), 401, 'sign_in_failed');
    expect(await identitiesOf(atlas, subject)).toHaveLength(0);
    expect((await complete(atlas, browser, { password: PASSWORD })).status).toBe(201);
    expect(await whoIs(atlas, browser)).toBe(user.email);
    expect(await identitiesOf(atlas, subject)).toMatchObject([{ userId: user.id }]);
    expect(await subjectsTo(atlas, user.email)).toEqual(['Sign-in through Example SSO turned on']);
    // From now on the provider is enough.
    const next = new Browser();
    await signInThrough(atlas, next, subject);
    expect(await whoIs(atlas, next)).toBe(user.email);
  });

  test('what is missing can be proven once, and only in the same browser', async () => {
    const user = await createUser(atlas, { passwordHash: await passwordHash() });
    const { browser } = await pending(user);
    const other = await complete(atlas, new Browser(), { password: PASSWORD });
    await expectProblem(atlas, other, 401, 'provider_sign_in_failed');
    expect((await complete(atlas, browser, { password: PASSWORD })).status).toBe(201);
    await expectProblem(
      atlas,
      await complete(atlas, browser, { password: PASSWORD }),
      401,
      'provider_sign_in_failed',
    );
  });

  test('what is missing is refused from pages of other sites, and after 10 minutes', async () => {
    const user = await createUser(atlas, { passwordHash: await passwordHash() });
    const { browser, subject } = await pending(user);
    const headers = { Cookie: browser.cookieOf(ORIGIN), 'Sec-Fetch-Site': 'cross-site' };
    const foreign = await visit(atlas, 'POST', `${OIDC_PATH}/completions`, {
      headers,
      json: { password: PASSWORD },
    });
    await expectProblem(atlas, foreign, 403, 'cross_site_request');
    await atlas.sql`UPDATE pending_identities SET expires_at = now() WHERE subject = ${subject}`;
    await expectProblem(
      atlas,
      await complete(atlas, browser, { password: PASSWORD }),
      401,
      'provider_sign_in_failed',
    );
    expect(await identitiesOf(atlas, subject)).toHaveLength(0);
  });

  test('who is signed in as that user links it without the password', async () => {
    const user = await createUser(atlas, { passwordHash: await passwordHash() });
    const browser = new Browser();
    const json = { email: user.email, password: PASSWORD, cookie: true };
    expect((await go(atlas, browser, 'POST', '/v1/sessions', json)).status).toBe(201);
    const { subject } = createAccount(provider, { email: user.email });
    await signInThrough(atlas, browser, subject);
    expect((await complete(atlas, browser, {})).status).toBe(204);
    expect(await identitiesOf(atlas, subject)).toMatchObject([{ userId: user.id }]);
  });

  test('who signed in as that user more than 10 minutes ago, or no longer is, needs the password', async () => {
    const user = await createUser(atlas, { passwordHash: await passwordHash() });
    const browser = new Browser();
    const json = { email: user.email, password: PASSWORD, cookie: true };
    expect((await go(atlas, browser, 'POST', '/v1/sessions', json)).status).toBe(201);
    const { subject } = createAccount(provider, { email: user.email });
    await signInThrough(atlas, browser, subject);
    expect(await whoIs(atlas, browser)).toBe(user.email);
    await atlas.sql`UPDATE sessions SET authenticated_at = now() - interval '11 minutes' WHERE user_id = ${user.id}`;
    await expectProblem(atlas, await complete(atlas, browser, {}), 403, 'reauthentication_required');
    // Ended just now, so the cache of credentials still knows it.
    await atlas.sql`DELETE FROM sessions WHERE user_id = ${user.id}`;
    await expectProblem(atlas, await complete(atlas, browser, {}), 403, 'reauthentication_required');
    expect(await identitiesOf(atlas, subject)).toHaveLength(0);
    expect((await complete(atlas, browser, { password: PASSWORD })).status).toBe(201);
    expect(await identitiesOf(atlas, subject)).toMatchObject([{ userId: user.id }]);
  });

  test('who is signed in as somebody else needs the password', async () => {
    const [user, other] = [
      await createUser(atlas, { passwordHash: await passwordHash() }),
      await createUser(atlas, { passwordHash: await passwordHash() }),
    ];
    const browser = new Browser();
    await go(atlas, browser, 'POST', '/v1/sessions', {
      email: other.email,
      password: PASSWORD,
      cookie: true,
    });
    const { subject } = createAccount(provider, { email: user.email });
    await signInThrough(atlas, browser, subject);
    await expectProblem(atlas, await complete(atlas, browser, {}), 401, 'sign_in_failed');
    expect(await identitiesOf(atlas, subject)).toHaveLength(0);
  });

  test('that user is signed in without the password where the addresses of the provider are trusted', async () => {
    const user = await createUser(trusting, {
      email: 'trusted@example.com',
      passwordHash: await passwordHash(),
    });
    const browser = new Browser();
    const { subject } = createAccount(provider, { email: user.email });
    expect((await signInThrough(trusting, browser, subject, '')).status).toBe(200);
    expect(await whoIs(trusting, browser)).toBe(user.email);
    expect(await subjectsTo(trusting, user.email)).toEqual(['Sign-in through Example SSO turned on']);
  });

  test('an address that the provider has not verified is never trusted', async () => {
    const user = await createUser(trusting, { passwordHash: await passwordHash() });
    const browser = new Browser();
    const { subject } = createAccount(provider, { email: user.email, isVerified: false });
    const response = await signInThrough(trusting, browser, subject, '');
    await expectProblem(trusting, response, 403, 'provider_email_unverified');
    expect(await whoIs(trusting, browser)).toBeNull();
  });
});

describe('the second factor', () => {
  test('is asked for after the provider, and the provider never bypasses it', async () => {
    const user = await createTwoFactorUser(atlas);
    const { subject } = createAccount(provider, { email: user.email });
    const browser = new Browser();
    await signInThrough(atlas, browser, subject);
    await expectProblem(
      atlas,
      await complete(atlas, browser, { password: PASSWORD }),
      401,
      'second_factor_required',
    );
    expect((await complete(atlas, browser, { password: PASSWORD, code: codeOf(user.secret) })).status).toBe(
      201,
    );
    const next = new Browser();
    const page = await signInThrough(atlas, next, subject);
    expect(await page.text()).toContain('has a second factor');
    expect(await whoIs(atlas, next)).toBeNull();
    await expectProblem(
      atlas,
      await complete(atlas, next, { code: '000000' }),
      401,
      'second_factor_required',
    );
    expect((await complete(atlas, next, { code: user.recoveryCodes[0] })).status).toBe(201);
    expect(await whoIs(atlas, next)).toBe(user.email);
  });
});

test('who signs in again in the same browser has one session: the former one ends', async () => {
  const { subject, email } = createAccount(provider);
  const browser = new Browser();
  await signInThrough(atlas, browser, subject);
  await signInThrough(atlas, browser, subject);
  const sessions = await atlas.sql`
    SELECT FROM sessions s JOIN users u ON u.id = s.user_id WHERE u.email = ${email}`;
  expect(sessions).toHaveLength(1);
});

test('a user who is locked out is not signed in by the provider either', async () => {
  const { subject, email } = createAccount(provider);
  await signInThrough(atlas, new Browser(), subject);
  await atlas.sql`UPDATE users SET locked_at = now() WHERE email = ${email}`;
  const browser = new Browser();
  await expectProblem(atlas, await signInThrough(atlas, browser, subject), 401, 'sign_in_failed');
  expect(await whoIs(atlas, browser)).toBeNull();
});
