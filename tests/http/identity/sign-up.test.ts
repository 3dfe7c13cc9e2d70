import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { hashOneTimeToken } from '../../../src/features/identity/one-time-token.ts';
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
  atlas = await startTestApp({ SIGN_UP: 'open' });
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const signUp = (email: string, more: object = {}, app = atlas) =>
  visit(app, 'POST', '/v1/users', { json: { email, password: PASSWORD, ...more } });
const confirm = (token: string, password = PASSWORD) =>
  visit(atlas, 'POST', '/v1/users/confirmations', { json: { token, password } });
const statusOf = async (response: Promise<Response>) => (await response).status;
const auditOf = async (action: string) =>
  (await atlas.sql`SELECT * FROM audit_entries WHERE action = ${action} ORDER BY id`).at(-1)!;

describe('a person', () => {
  test('signs up, confirms the address with the mail and the password, and signs in', async () => {
    const response = await signUp('Ada@Example.com', { name: 'Ada' });
    expect(response.status).toBe(202);
    expect((await signIn(atlas, 'ada@example.com')).status).toBe(401);
    const [{ subject, text }] = (await mailsTo(atlas, 'ada@example.com')) as [
      { subject: string; text: string },
    ];
    expect(subject).toBe('Confirm your mail address');
    const token = await tokenFor(atlas, 'ada@example.com');
    expect(text).toContain(`http://127.0.0.1:8000/confirm#token=${token}\n`);
    expect(await statusOf(confirm(token))).toBe(204);
    expect((await signIn(atlas, 'ADA@example.com')).status).toBe(201);
    const [user] = await atlas.sql`SELECT * FROM users WHERE email = 'ada@example.com'`;
    expect(user).toMatchObject({
      name: 'Ada',
      passwordHash: expect.stringMatching(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/),
    });
  });

  test('is recorded, without the password', async () => {
    await signUp('audited@example.com');
    const { targetId: id, actor, after } = await auditOf('user.created');
    expect(actor).toMatchObject({ kind: 'user', id, address: '192.0.2.1' });
    expect(after).toEqual({ email: 'audited@example.com', name: '', isConfirmed: false });
    await confirm(await tokenFor(atlas, 'audited@example.com'));
    expect(await auditOf('user.confirmed')).toMatchObject({ targetId: id, organization: '' });
  });

  test('whose address is known gets the same response, another mail, and keeps the password', async () => {
    await createUser(atlas, { email: 'known@example.com', passwordHash: await passwordHash() });
    const [known, unknown] = [
      await signUp('known@example.com', { password: 'another long password' }),
      await signUp('new@example.com', { password: 'another long password' }),
    ];
    expect([known.status, await known.text()]).toEqual([unknown.status, await unknown.text()]);
    const [mail] = await mailsTo(atlas, 'known@example.com');
    expect(mail!.subject).toBe('You already have an account');
    expect(mail!.text).not.toContain('atlas_once_');
    expect((await signIn(atlas, 'known@example.com')).status).toBe(201);
  });

  test('signs up ten times at once, and is one user', async () => {
    const responses = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        visit(atlas, 'POST', '/v1/users', {
          json: { email: 'racer@example.com', password: PASSWORD },
          address: `192.0.2.${20 + i}`,
        }),
      ),
    );
    expect(responses.map(({ status }) => status)).toEqual(responses.map(() => 202));
    expect(await atlas.sql`SELECT FROM users WHERE email = 'racer@example.com'`).toHaveLength(1);
    expect(
      await atlas.sql`SELECT FROM one_time_tokens t JOIN users u ON u.id = t.user_id
      WHERE email = 'racer@example.com'`,
    ).toHaveLength(1);
  });
});

describe('an account is not taken over before its owner confirms it', () => {
  test('by somebody who signed up with the address first', async () => {
    await signUp('victim@example.com', { password: 'password of the attacker' });
    await signUp('victim@example.com');
    expect(await statusOf(confirm(await tokenFor(atlas, 'victim@example.com')))).toBe(204);
    expect((await signIn(atlas, 'victim@example.com', 'password of the attacker')).status).toBe(401);
    expect((await signIn(atlas, 'victim@example.com')).status).toBe(201);
  });

  test('by somebody who signed up with the address afterwards', async () => {
    await signUp('target@example.com');
    await signUp('target@example.com', { password: 'password of the attacker' });
    const token = await tokenFor(atlas, 'target@example.com');
    await expectProblem(atlas, await confirm(token), 422, 'one_time_token_invalid');
    for (const password of [PASSWORD, 'password of the attacker'])
      expect((await signIn(atlas, 'target@example.com', password)).status).toBe(401);
  });
});

describe('a token of a mail', () => {
  test('works once, and only the latest one does', async () => {
    await signUp('twice@example.com');
    const first = await tokenFor(atlas, 'twice@example.com');
    await signUp('twice@example.com');
    const second = await tokenFor(atlas, 'twice@example.com');
    await expectProblem(atlas, await confirm(first), 422, 'one_time_token_invalid');
    expect(await statusOf(confirm(second))).toBe(204);
    await expectProblem(atlas, await confirm(second), 422, 'one_time_token_invalid');
  });

  test('is used once by two requests at once', async () => {
    await signUp('double@example.com');
    const token = await tokenFor(atlas, 'double@example.com');
    const statuses = await Promise.all([confirm(token), confirm(token)].map(statusOf));
    expect(statuses.sort()).toEqual([204, 422]);
  });

  test('expires after 30 minutes', async () => {
    await signUp('late@example.com');
    const token = await tokenFor(atlas, 'late@example.com');
    const [row] = await atlas.sql`
      SELECT expires_at BETWEEN now() + interval '29 minutes' AND now() + interval '30 minutes' AS fits
      FROM one_time_tokens WHERE secret_hash = ${hashOneTimeToken(token)}`;
    expect(row!.fits).toBe(true);
    await atlas.sql`UPDATE one_time_tokens SET expires_at = now() WHERE secret_hash = ${hashOneTimeToken(token)}`;
    await expectProblem(atlas, await confirm(token), 422, 'one_time_token_invalid');
  });

  test('is not stored, and does not confirm as a token of another kind', async () => {
    await signUp('stored@example.com');
    const token = await tokenFor(atlas, 'stored@example.com');
    const reset = await visit(atlas, 'POST', '/v1/users/password-resets/completions', {
      json: { token, password: PASSWORD },
    });
    await expectProblem(atlas, reset, 422, 'one_time_token_invalid');
    const rows = await atlas.sql`SELECT t::text FROM one_time_tokens t`;
    expect(JSON.stringify(rows)).not.toContain(token);
  });
});

describe('a sign-up', () => {
  test.each([
    ['too short', 'eleven char'],
    ['too long', 'ä'.repeat(129)],
    ['common', 'password1234'],
    ['common, with signs', 'Iloveyou-Forever!!'],
    ['repeated', 'abcabcabcabcabc'],
    ['a row of keys', 'qwertyuiopasdf'],
    ['made of the address', 'someone@example.com'],
    ['made of the name', 'Lovelace-Atlas-1815'],
  ])('with a password that is %s is refused, with the reason', async (_, password) => {
    const response = await signUp('someone@example.com', { password, name: 'Ada Lovelace' });
    await expectProblem(atlas, response, 422, 'password_unsuitable');
    expect(await atlas.sql`SELECT FROM users WHERE email = 'someone@example.com'`).toHaveLength(0);
  });

  test.each(['twelve chars', `${'x1 '.repeat(22)}different end`, '🐘 is a password'])(
    'takes the password %j as it is',
    async (password) => {
      const email = `taken${Bun.hash(password)}@example.com`;
      expect(await statusOf(signUp(email, { password }))).toBe(202);
      expect(await statusOf(confirm(await tokenFor(atlas, email), password))).toBe(204);
      expect((await signIn(atlas, email, `${password} `)).status).toBe(401);
      expect((await signIn(atlas, email, password)).status).toBe(201);
    },
  );

  test.each(['none', '\u212Aate@example.com', 'a@b@c', 'x'.repeat(300)])(
    'with the address %j is refused',
    async (email) => {
      await expectProblem(atlas, await signUp(email), 400, 'invalid_request', ['/email']);
    },
  );

  test('with a body of a megabyte, NUL, or unknown members is refused', async () => {
    expect(await statusOf(signUp('big@example.com', { password: 'x'.repeat(1_000_000) }))).toBe(413);
    await expectProblem(
      atlas,
      await signUp('nul@example.com', { password: 'a\0bcdefghijklmnop' }),
      400,
      'malformed_json',
    );
    await expectProblem(
      atlas,
      await signUp('more@example.com', { isConfirmed: true }),
      400,
      'invalid_request',
    );
  });

  test.each([
    ['invitation', {}],
    ['off', {}],
    ['off', { invitation: 'any' }],
  ])('is refused if the setting is %s: %j', async (policy, more) => {
    const app = await startTestApp({ SIGN_UP: policy, DATABASE_URL: atlas.deps.databaseUrl });
    try {
      await expectProblem(app, await signUp('closed@example.com', more, app), 403, 'sign_up_closed');
    } finally {
      await app.close();
    }
  });
});

describe('an invitation', () => {
  const invite = async (email: string, token: string, organization = 'inviting') => {
    await atlas.sql`INSERT INTO organizations (id, name) VALUES (${organization}, 'x') ON CONFLICT DO NOTHING`;
    await atlas.sql`
      INSERT INTO invitations (id, organization, email, role, secret_hash, invited_by, expires_at)
      VALUES (${Bun.randomUUIDv7()}, ${organization}, ${email}, 'member', ${hashOneTimeToken(token)}, 'x',
        now() + interval '1 day')`;
  };

  test('confirms the address, makes the person a member, and promises no mail', async () => {
    await invite('invited@example.com', 'invitation one');
    const accepted = await signUp('invited@example.com', { invitation: 'invitation one' });
    expect(accepted.status).toBe(202);
    const { message } = (await accepted.json()) as { message: string };
    expect(message).toContain('Sign in');
    expect(message).not.toContain('mail is on its way');
    const response = await signIn(atlas, 'invited@example.com');
    expect(await response.json()).toMatchObject({ organization: 'inviting' });
    expect(await mailsTo(atlas, 'invited@example.com')).toEqual([]);
    expect(await auditOf('membership.created')).toMatchObject({
      organization: 'inviting',
      after: { role: 'member' },
    });
  });

  test('works once, and only for its address; nothing is stored otherwise', async () => {
    await invite('rightful@example.com', 'invitation two');
    for (const email of ['thief@example.com', 'thief@example.com']) {
      const response = await signUp(email, { invitation: 'invitation two' });
      await expectProblem(atlas, response, 422, 'invitation_invalid');
    }
    expect(await atlas.sql`SELECT FROM users WHERE email = 'thief@example.com'`).toHaveLength(0);
    expect(await statusOf(signUp('rightful@example.com', { invitation: 'invitation two' }))).toBe(202);
    await expectProblem(
      atlas,
      await signUp('rightful@example.com', { invitation: 'invitation two' }),
      422,
      'invitation_invalid',
    );
  });

  test('that is invalid says nothing about the address', async () => {
    await createUser(atlas, { email: 'member@example.com' });
    for (const email of ['member@example.com', 'nobody@example.com']) {
      const response = await signUp(email, { invitation: 'no such invitation' });
      await expectProblem(atlas, response, 422, 'invitation_invalid');
    }
  });
});

test('no more than ten mails an hour go to one address, silently, and the latest token works', async () => {
  for (let i = 0; i < 12; i++) expect(await statusOf(signUp('flooded@example.com'))).toBe(202);
  expect(await mailsTo(atlas, 'flooded@example.com')).toHaveLength(10);
  expect(await statusOf(confirm(await tokenFor(atlas, 'flooded@example.com')))).toBe(204);
});

test('one address cannot request mails without end', async () => {
  let response: Response;
  let sent = 0;
  do
    response = await visit(atlas, 'POST', '/v1/users/password-resets', {
      json: { email: `mass${sent}@example.com` },
      address: '198.51.100.1',
    });
  while (response.status === 202 && ++sent < 200);
  expect(sent).toBe(51);
  await expectProblem(atlas, response, 429, 'too_many_attempts');
  expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
});

test('a user who never confirms is deleted after a week, with old tokens', async () => {
  await signUp('ghost@example.com');
  await signUp('fresh@example.com');
  await atlas.sql`UPDATE users SET created_at = now() - interval '8 days' WHERE email = 'ghost@example.com'`;
  await atlas.jobs.find(({ name }) => name === 'delete unconfirmed users and old tokens')!.run();
  const left =
    await atlas.sql`SELECT email FROM users WHERE email IN ('ghost@example.com', 'fresh@example.com')`;
  expect(left.map(({ email }) => email)).toEqual(['fresh@example.com']);
});
