import { afterAll, beforeAll, expect, test } from 'bun:test';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { createUser, mailsTo, PASSWORD, passwordHash, tokenFor, visit } from '../../support/user-steps.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp({ SIGN_UP: 'open' });
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

test('mails that anybody can cause keep nobody from a token that works, nor from what happens to the account', async () => {
  const address = '198.51.100.2';
  const { id, email } = await createUser(atlas, { passwordHash: await passwordHash() });
  const reset = async () =>
    expect(
      (await visit(atlas, 'POST', '/v1/users/password-resets', { json: { email }, address })).status,
    ).toBe(202);
  const again = { json: { email, password: PASSWORD }, address };
  for (let i = 0; i < 12; i++) expect((await visit(atlas, 'POST', '/v1/users', again)).status).toBe(202);
  await reset();
  await reset();
  expect(await mailsTo(atlas, email)).toHaveLength(11);
  await atlas.sql`UPDATE one_time_tokens SET expires_at = now() WHERE user_id = ${id}`;
  await reset();
  expect(await mailsTo(atlas, email)).toHaveLength(12);
  const json = { token: await tokenFor(atlas, email), password: 'another good password' };
  expect((await visit(atlas, 'POST', '/v1/users/password-resets/completions', { json })).status).toBe(204);
  expect((await mailsTo(atlas, email)).at(-1)!.subject).toBe('Your password was changed');
  // Also those are bounded.
  await atlas.sql`
    INSERT INTO mails (id, organization, recipient, content, expires_at)
    SELECT gen_random_uuid(), '', ${email}, 'x', now() + interval '1 hour' FROM generate_series(1, 40)`;
  await reset();
  expect(await atlas.sql`SELECT FROM mails WHERE recipient = ${email}`).toHaveLength(53);
});
