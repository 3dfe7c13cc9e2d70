import { afterAll, beforeAll, expect, test } from 'bun:test';
import { createTwoFactorUser } from '../../support/factor-steps.ts';
import { Browser, startProvider, type TestProvider } from '../../support/openid-provider.ts';
import {
  complete,
  createAccount,
  go,
  identitiesOf,
  ORIGIN,
  signInThrough,
  whoIs,
} from '../../support/provider-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { createUser, mailsTo, PASSWORD, passwordHash, tokenFor, visit } from '../../support/user-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

const PATH = '/v1/users/me/identities';
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

interface Identity {
  readonly id: string;
  readonly subject: string;
}
async function listed(browser: Browser): Promise<Identity[]> {
  const response = await go(atlas, browser, 'GET', PATH);
  expect(response.status).toBe(200);
  return ((await response.json()) as { identities: Identity[] }).identities;
}
/** A page of Atlas sends it. */
const unlink = (browser: Browser, id: string) =>
  visit(atlas, 'DELETE', `${PATH}/${id}`, {
    headers: { Cookie: browser.cookieOf(ORIGIN), 'Sec-Fetch-Site': 'same-origin' },
  });
async function signedIn() {
  const [account, browser] = [createAccount(provider), new Browser()];
  await signInThrough(atlas, browser, account.subject);
  return { ...account, browser };
}

test('people see the accounts at a provider that sign them in, and no others', async () => {
  const [{ browser, subject }] = [await signedIn(), await signedIn()];
  expect(await listed(browser)).toMatchObject([
    {
      id: expect.stringMatching(/^[\w-]{43}$/),
      issuer: provider.issuer,
      subject,
      linkedAt: expect.any(String),
    },
  ]);
});

test('an account that is unlinked signs nobody in any more, which a mail reports', async () => {
  const { browser, subject, email } = await signedIn();
  const [{ id }] = (await listed(browser)) as [Identity];
  expect((await unlink(browser, id)).status).toBe(204);
  expect(await listed(browser)).toEqual([]);
  await expectProblem(atlas, await unlink(browser, id), 404, 'identity_not_found');
  expect((await mailsTo(atlas, email)).at(-1)!.subject).toBe('Sign-in through a provider turned off');
  const other = new Browser();
  expect(await (await signInThrough(atlas, other, subject)).text()).toContain('One more step');
  expect(await whoIs(atlas, other)).toBeNull();
});

test('unlinking needs a session of the last 10 minutes that has not ended', async () => {
  const { browser, subject, email } = await signedIn();
  const [{ id }] = (await listed(browser)) as [Identity];
  const ofPerson = atlas.sql`user_id = (SELECT id FROM users WHERE email = ${email})`;
  await atlas.sql`UPDATE sessions SET authenticated_at = now() - interval '11 minutes' WHERE ${ofPerson}`;
  await expectProblem(atlas, await unlink(browser, id), 403, 'reauthentication_required');
  // Ended just now, by being idle or by somebody, so the cache of credentials still knows it.
  await atlas.sql`
    UPDATE sessions SET authenticated_at = now(), last_used_at = now() - interval '13 hours' WHERE ${ofPerson}`;
  await expectProblem(atlas, await unlink(browser, id), 403, 'reauthentication_required');
  await atlas.sql`DELETE FROM sessions WHERE ${ofPerson}`;
  await expectProblem(atlas, await unlink(browser, id), 403, 'reauthentication_required');
  expect(await identitiesOf(atlas, subject)).toHaveLength(1);
});

test('the accounts of others cannot be unlinked', async () => {
  const [one, other] = [await signedIn(), await signedIn()];
  const [{ id }] = (await listed(other.browser)) as [Identity];
  await expectProblem(atlas, await unlink(one.browser, id), 404, 'identity_not_found');
  expect(await identitiesOf(atlas, other.subject)).toHaveLength(1);
});

test('a sign-in that waits for the second factor does not link again what was unlinked meanwhile', async () => {
  const user = await createTwoFactorUser(atlas);
  const { subject } = createAccount(provider, { email: user.email });
  await atlas.sql`
    INSERT INTO user_identities (issuer, subject, user_id) VALUES (${provider.issuer}, ${subject}, ${user.id})`;
  const browser = new Browser();
  expect(await (await signInThrough(atlas, browser, subject)).text()).toContain('has a second factor');
  const headers = { Authorization: `Bearer ${user.token}` };
  const { identities } = (await (await visit(atlas, 'GET', PATH, { headers })).json()) as {
    identities: Identity[];
  };
  expect((await visit(atlas, 'DELETE', `${PATH}/${identities[0]!.id}`, { headers })).status).toBe(204);
  const late = await complete(atlas, browser, { code: user.recoveryCodes[0] });
  await expectProblem(atlas, late, 401, 'provider_sign_in_failed');
  expect(await identitiesOf(atlas, subject)).toHaveLength(0);
});

test('who resets the password learns which accounts sign them in without it', async () => {
  const { subject, email } = await signedIn();
  const reset = async (address: string) => {
    await visit(atlas, 'POST', '/v1/users/password-resets', { json: { email: address } });
    const json = { token: await tokenFor(atlas, address), password: 'another good password' };
    expect((await visit(atlas, 'POST', '/v1/users/password-resets/completions', { json })).status).toBe(204);
    return (await mailsTo(atlas, address)).at(-1)!.text;
  };
  expect(await reset(email)).toContain(`- ${subject} at ${provider.issuer}`);
  expect(await reset((await createUser(atlas)).email)).not.toContain('still sign you in');
});

test('a user can have 20, and no more is linked', async () => {
  const user = await createUser(atlas, { passwordHash: await passwordHash() });
  await atlas.sql`
    INSERT INTO user_identities (issuer, subject, user_id)
    SELECT 'https://sso.test', ${user.id} || n, ${user.id} FROM generate_series(1, 20) n`;
  const [{ subject }, browser] = [createAccount(provider, { email: user.email }), new Browser()];
  await signInThrough(atlas, browser, subject);
  const refused = await complete(atlas, browser, { password: PASSWORD });
  await expectProblem(atlas, refused, 401, 'provider_sign_in_failed');
  expect(await identitiesOf(atlas, subject)).toHaveLength(0);
});
