import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import {
  codeOf,
  createTwoFactorUser,
  factorAuditOf,
  forgetStep,
  ownFactor,
  removeFactor,
  signInWithCode,
  subjectsTo,
} from '../../support/factor-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import {
  bearer,
  createSession,
  createUser,
  PASSWORD,
  passwordHash,
  signIn,
  visit,
} from '../../support/user-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const userOf = async (email: string) => (await atlas.sql`SELECT * FROM users WHERE email = ${email}`)[0]!;

describe('setting a second factor up', () => {
  test('needs the password, and the second factor counts only once a code has confirmed it', async () => {
    const user = await createUser(atlas, { email: 'set-up@example.com', passwordHash: await passwordHash() });
    const enrolled = await ownFactor(atlas, 'POST', user, { password: PASSWORD });
    expect(enrolled.status).toBe(201);
    expect(enrolled.headers.get('cache-control')).toBe('no-store');
    const { secret, uri } = (await enrolled.json()) as { secret: string; uri: string };
    expect(new URL(uri).searchParams.get('secret')).toBe(secret);
    expect((await signIn(atlas, user.email)).status).toBe(201);

    await expectProblem(
      atlas,
      await ownFactor(atlas, 'PUT', user, { code: '000000' }),
      403,
      'second_factor_wrong',
    );
    const confirmed = await ownFactor(atlas, 'PUT', user, { code: codeOf(secret) });
    expect(confirmed.status).toBe(200);
    expect(confirmed.headers.get('cache-control')).toBe('no-store');
    expect(((await confirmed.json()) as { recoveryCodes: string[] }).recoveryCodes).toHaveLength(10);
    await expectProblem(atlas, await signIn(atlas, user.email), 401, 'second_factor_required');
    expect(await subjectsTo(atlas, user.email)).toEqual(['Second factor turned on']);
    expect(await factorAuditOf(atlas, user.id)).toMatchObject([
      { action: 'second_factor.enabled', actor: { kind: 'session', userId: user.id, address: '192.0.2.1' } },
    ]);
    const own = await visit(atlas, 'GET', '/v1/users/me', { headers: bearer(user.token) });
    expect(await own.json()).toMatchObject({ hasSecondFactor: true });
  });

  test('is refused with a wrong password or none, and changes nothing', async () => {
    const user = await createUser(atlas, { email: 'wrong@example.com', passwordHash: await passwordHash() });
    for (const json of [{ password: 'something else' }, {}])
      await expectProblem(atlas, await ownFactor(atlas, 'POST', user, json), 403, 'password_wrong');
    expect((await userOf(user.email)).totpSecret).toBeNull();
  });

  test('without a password needs a session of the last 10 minutes', async () => {
    const user = await createUser(atlas);
    expect((await ownFactor(atlas, 'POST', user, {})).status).toBe(201);
    await atlas.sql`UPDATE sessions SET authenticated_at = now() - interval '11 minutes' WHERE id = ${user.sessionId}`;
    await expectProblem(atlas, await ownFactor(atlas, 'POST', user, {}), 403, 'reauthentication_required');
  });

  test('again is refused until the one that counts is turned off', async () => {
    const user = await createTwoFactorUser(atlas);
    const before = (await userOf(user.email)).totpSecret;
    const again = await ownFactor(atlas, 'POST', user, { password: PASSWORD });
    await expectProblem(atlas, again, 409, 'second_factor_exists');
    const confirmed = await ownFactor(atlas, 'PUT', user, { code: codeOf(user.secret) });
    await expectProblem(atlas, confirmed, 409, 'second_factor_exists');
    expect((await userOf(user.email)).totpSecret).toBe(before);
  });

  test('with the secret of an earlier attempt is refused', async () => {
    const user = await createUser(atlas, { passwordHash: await passwordHash() });
    const enroll = async () =>
      (await (await ownFactor(atlas, 'POST', user, { password: PASSWORD })).json()) as { secret: string };
    const [first] = [await enroll(), await enroll()];
    const confirmed = await ownFactor(atlas, 'PUT', user, { code: codeOf(first.secret) });
    await expectProblem(atlas, confirmed, 403, 'second_factor_wrong');
  });

  test('is not possible with a session that has just ended, which would lock its user out', async () => {
    const user = await createUser(atlas, { passwordHash: await passwordHash() });
    const enrolled = await ownFactor(atlas, 'POST', user, { password: PASSWORD });
    const { secret } = (await enrolled.json()) as { secret: string };
    await atlas.sql`DELETE FROM sessions WHERE user_id = ${user.id}`;
    for (const [method, json] of [
      ['PUT', { code: codeOf(secret) }],
      ['POST', { password: PASSWORD }],
    ] as const)
      await expectProblem(atlas, await ownFactor(atlas, method, user, json), 401, 'unauthenticated');
    expect((await signIn(atlas, user.email)).status).toBe(201);
  });

  test('cannot be confirmed before it is set up', async () => {
    const confirmed = await ownFactor(atlas, 'PUT', await createUser(atlas), { code: '123456' });
    await expectProblem(atlas, confirmed, 404, 'second_factor_missing');
  });

  test('stores neither the secret nor a recovery code in plain text', async () => {
    const user = await createTwoFactorUser(atlas);
    const rows = [
      ...(await atlas.sql`SELECT to_jsonb(u)::text AS row FROM users u WHERE id = ${user.id}`),
      ...(await atlas.sql`SELECT to_jsonb(r)::text AS row FROM recovery_codes r WHERE user_id = ${user.id}`),
      ...(await atlas.sql`SELECT to_jsonb(a)::text AS row FROM audit_entries a WHERE target_id = ${user.id}`),
    ].map(({ row }) => row as string);
    expect(rows).toHaveLength(12);
    for (const code of [user.secret, ...user.recoveryCodes])
      expect(rows.some((row) => row.includes(code) || row.includes(code.replaceAll('-', '')))).toBe(false);
    expect(atlas.logs.some((line) => line.includes(user.secret))).toBe(false);
  });
});

describe('turning a second factor off', () => {
  test('needs the password and a code, and is reported', async () => {
    const user = await createTwoFactorUser(atlas);
    const remove = (json: object) => removeFactor(atlas, user, json);
    const code = codeOf(user.secret);
    await expectProblem(atlas, await remove({ password: 'wrong', code }), 403, 'password_wrong');
    const wrong = { password: PASSWORD, code: '000000' };
    await expectProblem(atlas, await remove(wrong), 403, 'second_factor_wrong');
    expect((await remove({ password: PASSWORD, code })).status).toBe(204);
    expect((await signIn(atlas, user.email)).status).toBe(201);
    expect(await userOf(user.email)).toMatchObject({ totpSecret: null, totpConfirmedAt: null });
    expect(await atlas.sql`SELECT FROM recovery_codes WHERE user_id = ${user.id}`).toHaveLength(0);
    expect((await subjectsTo(atlas, user.email)).at(-1)).toBe('Second factor turned off');
    expect((await factorAuditOf(atlas, user.id)).at(-1)).toMatchObject({ action: 'second_factor.removed' });
    await expectProblem(atlas, await remove({ password: PASSWORD, code }), 404, 'second_factor_missing');
  });

  test('works with a recovery code, for those who have lost the app', async () => {
    const user = await createTwoFactorUser(atlas);
    const json = { password: PASSWORD, code: user.recoveryCodes[0] };
    expect((await removeFactor(atlas, user, json)).status).toBe(204);
  });

  test('with a code that was used to sign in is refused', async () => {
    const user = await createTwoFactorUser(atlas);
    const code = codeOf(user.secret);
    await signInWithCode(atlas, user.email, code);
    const removed = await removeFactor(atlas, user, { password: PASSWORD, code });
    await expectProblem(atlas, removed, 403, 'second_factor_wrong');
  });

  test('is possible for operators, for somebody who has lost both, and is reported to that person', async () => {
    const user = await createTwoFactorUser(atlas);
    const path = `/v1/operator/users/${user.id}/second-factor`;
    const byUser = await visit(atlas, 'DELETE', path, { headers: bearer(user.token) });
    await expectProblem(atlas, byUser, 403, 'forbidden');
    expect((await atlas.call('DELETE', path)).status).toBe(204);
    expect((await signIn(atlas, user.email)).status).toBe(201);
    expect((await subjectsTo(atlas, user.email)).at(-1)).toBe('Second factor removed by an operator');
    expect((await factorAuditOf(atlas, user.id)).at(-1)).toMatchObject({
      action: 'second_factor.reset',
      actor: { kind: 'operator' },
    });
    await expectProblem(atlas, await atlas.call('DELETE', path), 404, 'second_factor_missing');
    const nobody = '/v1/operator/users/0198f0d0-0000-7000-8000-00000000dead/second-factor';
    await expectProblem(atlas, await atlas.call('DELETE', nobody), 404, 'second_factor_missing');
  });
});

test('somebody else never reaches the second factor of a person: keys and other users are refused', async () => {
  const user = await createTwoFactorUser(atlas);
  const before = await userOf(user.email);
  const other = await createUser(atlas, { passwordHash: await passwordHash() });
  const json = { password: PASSWORD, code: codeOf(user.secret) };
  await expectProblem(atlas, await removeFactor(atlas, other, json), 404, 'second_factor_missing');
  for (const [method, path] of [
    ['POST', ''],
    ['PUT', ''],
    ['POST', '/remove'],
    ['POST', '/recovery-codes'],
  ] as const)
    await expectProblem(
      atlas,
      await atlas.call(method, `/v1/users/me/totp${path}`, { json }),
      403,
      'forbidden',
    );
  expect(await userOf(user.email)).toEqual(before);
});

test('the second factor belongs to the user, whichever session asks', async () => {
  const user = await createTwoFactorUser(atlas);
  const other = await createSession(atlas, user.id);
  await forgetStep(atlas, user);
  const removed = await removeFactor(atlas, other, { password: PASSWORD, code: codeOf(user.secret) });
  expect(removed.status).toBe(204);
});
