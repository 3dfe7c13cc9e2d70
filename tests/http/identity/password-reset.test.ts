import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { personIn, startedBy } from '../../support/person-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { mailsTo, signIn, tokenFor, visit } from '../../support/user-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());
afterEach(async () => {
  await atlas.sql`DELETE FROM attempts`;
});

const person = personIn(() => atlas);

describe('a password reset', () => {
  const request = (email: string) => visit(atlas, 'POST', '/v1/users/password-resets', { json: { email } });
  const complete = (token: string, password = 'another good password') =>
    visit(atlas, 'POST', '/v1/users/password-resets/completions', { json: { token, password } });

  test('sets another password, ends all sessions, starts none, and reports it by mail', async () => {
    const { id, email } = await person();
    await request(email);
    const token = await tokenFor(atlas, email);
    expect((await complete(token)).status).toBe(204);
    expect(await atlas.sql`SELECT FROM sessions WHERE user_id = ${id}`).toHaveLength(0);
    expect((await signIn(atlas, email)).status).toBe(401);
    await startedBy(await signIn(atlas, email, 'another good password'));
    const subjects = (await mailsTo(atlas, email)).map(({ subject }) => subject);
    expect(subjects).toEqual(['Reset your password', 'Your password was changed']);
    const [entry] =
      await atlas.sql`SELECT actor FROM audit_entries WHERE action = 'password.reset' AND target_id = ${id}`;
    expect(entry!.actor).toMatchObject({ kind: 'user', id });
  });

  test('gets the same response for an address that nobody has', async () => {
    const [known, unknown] = [await request((await person()).email), await request('nobody@example.com')];
    expect([known.status, await known.text()]).toEqual([unknown.status, await unknown.text()]);
    expect(await mailsTo(atlas, 'nobody@example.com')).toEqual([]);
  });

  test('fails for an address that nobody has where it fails for others, and is undone there', async () => {
    await atlas.sql`
      INSERT INTO mails (id, organization, recipient, content, expires_at)
      SELECT gen_random_uuid(), 'filler', 'r' || n || '@example.com', 'x', now() + interval '1 hour'
      FROM generate_series(1, 10000) n`;
    for (const email of [(await person()).email, 'nobody@example.com'])
      await expectProblem(atlas, await request(email), 503, 'mail_queue_full');
    await atlas.sql`DELETE FROM mails WHERE organization = 'filler'`;
  });

  test('by two requests with one token at once sets one password', async () => {
    const { email } = await person();
    await request(email);
    const token = await tokenFor(atlas, email);
    const passwords = ['one good password', 'two good passwords'];
    const statuses = await Promise.all(passwords.map(async (one) => (await complete(token, one)).status));
    expect(statuses.toSorted()).toEqual([204, 422]);
    await startedBy(await signIn(atlas, email, passwords[statuses.indexOf(204)]!));
  });

  test('with an unsuitable password is refused, and the token still works', async () => {
    const { email } = await person();
    await request(email);
    const token = await tokenFor(atlas, email);
    await expectProblem(atlas, await complete(token, 'short'), 422, 'password_unsuitable');
    expect((await complete(token)).status).toBe(204);
  });

  test('confirms an address that was not, keeps the second factor, and lets nobody in who is locked out', async () => {
    const [fresh, guarded, locked] = [await person(), await person(), await person()];
    await atlas.sql`UPDATE users SET confirmed_at = NULL WHERE id = ${fresh.id}`;
    await atlas.sql`UPDATE users SET totp_confirmed_at = now() WHERE id = ${guarded.id}`;
    await atlas.sql`UPDATE users SET locked_at = now() WHERE id = ${locked.id}`;
    for (const { email } of [fresh, guarded, locked]) await request(email);
    for (const { email } of [fresh, guarded]) await complete(await tokenFor(atlas, email));
    await startedBy(await signIn(atlas, fresh.email, 'another good password'));
    const response = await signIn(atlas, guarded.email, 'another good password');
    await expectProblem(atlas, response, 401, 'second_factor_required');
    expect(await mailsTo(atlas, locked.email)).toEqual([]);
  });
});
