import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import {
  codeOf,
  createTwoFactorUser,
  factorAuditOf,
  ownFactor,
  signInWithCode,
  subjectsTo,
} from '../../support/factor-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import {
  createUser,
  mailsTo,
  PASSWORD,
  passwordHash,
  signIn,
  tokenFor,
  visit,
} from '../../support/user-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

/** Of several at once, one succeeds; the others are wrong, or have to wait. */
const expectOne = (responses: readonly Response[]) => {
  const [first, ...others] = responses.map(({ status }) => status).toSorted();
  expect(first).toBe(201);
  for (const status of others) expect([401, 429]).toContain(status);
};
describe('signing in with a second factor', () => {
  test('needs the code of now, which works once', async () => {
    const { email, secret } = await createTwoFactorUser(atlas);
    const code = codeOf(secret);
    expect((await signInWithCode(atlas, email, code)).status).toBe(201);
    await expectProblem(atlas, await signInWithCode(atlas, email, code), 401, 'second_factor_required');
  });

  test('with one code several times at once succeeds once', async () => {
    const user = await createTwoFactorUser(atlas);
    const code = codeOf(user.secret);
    const responses = await Promise.all([1, 2, 3].map(() => signInWithCode(atlas, user.email, code)));
    expectOne(responses);
    const sessions = await atlas.sql`SELECT FROM sessions WHERE user_id = ${user.id}`;
    expect(sessions).toHaveLength(2);
  });

  test('accepts no code of an earlier step than one that was used', async () => {
    const user = await createTwoFactorUser(atlas);
    const [now] = [codeOf(user.secret)];
    await atlas.sql`UPDATE users SET totp_step = ${Math.floor(Date.now() / 30_000) + 2} WHERE id = ${user.id}`;
    await expectProblem(atlas, await signInWithCode(atlas, user.email, now), 401, 'second_factor_required');
  });

  test('never says whether a code is right to somebody without the password', async () => {
    const { email, secret } = await createTwoFactorUser(atlas);
    for (const code of [codeOf(secret), '000000'])
      await expectProblem(
        atlas,
        await signInWithCode(atlas, email, code, 'another password'),
        401,
        'sign_in_failed',
      );
    // And the code was not used up by it.
    expect((await signInWithCode(atlas, email, codeOf(secret))).status).toBe(201);
  });

  test('a code that somebody sends who has no second factor changes nothing', async () => {
    const user = await createUser(atlas, { passwordHash: await passwordHash() });
    expect((await signInWithCode(atlas, user.email, '000000')).status).toBe(201);
  });

  test('a secret that was set up but not confirmed neither asks for a code nor accepts one', async () => {
    const user = await createUser(atlas, { passwordHash: await passwordHash() });
    await ownFactor(atlas, 'POST', user, { password: PASSWORD });
    expect((await signIn(atlas, user.email)).status).toBe(201);
  });

  test('codes cannot be guessed: after four wrong ones the next has to wait, also after a reset of the password', async () => {
    const user = await createTwoFactorUser(atlas);
    const statuses: number[] = [];
    for (let i = 0; i < 6; i++) statuses.push((await signInWithCode(atlas, user.email, '000000')).status);
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429]);

    await visit(atlas, 'POST', '/v1/users/password-resets', { json: { email: user.email } });
    const json = { token: await tokenFor(atlas, user.email), password: 'umbrella cactus river' };
    const reset = await visit(atlas, 'POST', '/v1/users/password-resets/completions', { json });
    expect(reset.status).toBe(204);
    const again = await signInWithCode(atlas, user.email, codeOf(user.secret), json.password);
    await expectProblem(atlas, again, 429, 'too_many_attempts');
    expect(Number(again.headers.get('retry-after'))).toBeGreaterThan(0);
    // The owner is not locked out: a recovery code cannot be guessed, so it need not wait.
    expect((await signInWithCode(atlas, user.email, user.recoveryCodes[0]!, json.password)).status).toBe(201);
  });

  test('a reset of the password does not bypass the second factor', async () => {
    const user = await createTwoFactorUser(atlas);
    await visit(atlas, 'POST', '/v1/users/password-resets', { json: { email: user.email } });
    const json = { token: await tokenFor(atlas, user.email), password: 'umbrella cactus river' };
    await visit(atlas, 'POST', '/v1/users/password-resets/completions', { json });
    await expectProblem(atlas, await signIn(atlas, user.email, json.password), 401, 'second_factor_required');
    expect((await signInWithCode(atlas, user.email, codeOf(user.secret), json.password)).status).toBe(201);
  });
});

describe('a recovery code', () => {
  test('works once instead of a code of the app, and its use is reported', async () => {
    const { id, email, recoveryCodes } = await createTwoFactorUser(atlas);
    expect((await signInWithCode(atlas, email, recoveryCodes[3]!.toLowerCase())).status).toBe(201);
    await expectProblem(
      atlas,
      await signInWithCode(atlas, email, recoveryCodes[3]!),
      401,
      'second_factor_required',
    );
    const mail = (await mailsTo(atlas, email)).at(-1)!;
    expect(mail.subject).toBe('A recovery code was used');
    expect(mail.text).toContain('9 are left');
    expect((await factorAuditOf(atlas, id)).map(({ action }) => action)).toEqual([
      'second_factor.enabled',
      'second_factor.recovery_code_used',
    ]);
  });

  test('used several times at once works once', async () => {
    const { email, recoveryCodes } = await createTwoFactorUser(atlas);
    const responses = await Promise.all([1, 2, 3].map(() => signInWithCode(atlas, email, recoveryCodes[0]!)));
    expectOne(responses);
  });

  test('of another person is wrong', async () => {
    const [mine, other] = [await createTwoFactorUser(atlas), await createTwoFactorUser(atlas)];
    await expectProblem(
      atlas,
      await signInWithCode(atlas, mine.email, other.recoveryCodes[0]!),
      401,
      'second_factor_required',
    );
  });

  test('ends when all are replaced, which needs the password and a code', async () => {
    const user = await createTwoFactorUser(atlas);
    const replace = (json: object) => ownFactor(atlas, 'POST', user, json, '/recovery-codes');
    const code = codeOf(user.secret);
    await expectProblem(atlas, await replace({ password: 'wrong', code }), 403, 'password_wrong');
    await expectProblem(
      atlas,
      await replace({ password: PASSWORD, code: '000000' }),
      403,
      'second_factor_wrong',
    );
    const replaced = await replace({ password: PASSWORD, code });
    expect(replaced.status).toBe(201);
    const { recoveryCodes } = (await replaced.json()) as { recoveryCodes: string[] };
    await expectProblem(
      atlas,
      await signInWithCode(atlas, user.email, user.recoveryCodes[0]!),
      401,
      'second_factor_required',
    );
    expect((await signInWithCode(atlas, user.email, recoveryCodes[9]!)).status).toBe(201);
    expect((await subjectsTo(atlas, user.email)).slice(1)).toEqual([
      'Recovery codes replaced',
      'A recovery code was used',
    ]);
  });
});
