import { afterAll, afterEach, beforeAll, describe, expect, spyOn, test } from 'bun:test';
import { seed } from '../../../src/cli/seed.ts';
import { passwordThread } from '../../../src/features/identity/password-thread.ts';
import { DEMO_PERSON } from '../../../src/utils/demo-data.ts';
import { personIn, startedBy } from '../../support/person-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { addMember, bearer, PASSWORD, signIn, visit } from '../../support/user-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp({ LOG_LEVEL: 'trace' });
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());
afterEach(async () => {
  await atlas.sql`DELETE FROM attempts`;
});

const person = personIn(() => atlas);

describe('signing in', () => {
  test('starts a session that opens the routes of the role', async () => {
    const { email } = await person({ organization: 'shop', role: 'viewer' });
    const response = await signIn(atlas, email);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('set-cookie')).toBeNull();
    const { token, id, organization } = await startedBy(response);
    expect(token).toMatch(/^atlas_session_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}$/);
    expect([organization, token.includes(id)]).toEqual(['shop', true]);
    expect((await visit(atlas, 'GET', '/v1/ping', { headers: bearer(token) })).status).toBe(200);
    expect((await visit(atlas, 'GET', '/v1/audit', { headers: bearer(token) })).status).toBe(403);
  });

  test('acts for the named organization, if the person is a member', async () => {
    const { id, email } = await person({ organization: 'first' });
    await addMember(atlas, id, 'second', 'viewer');
    expect((await startedBy(await signIn(atlas, email))).organization).toBe('first');
    const second = await signIn(atlas, email, PASSWORD, { json: { organization: 'second' } });
    expect((await startedBy(second)).organization).toBe('second');
    for (const organization of ['shop', 'none']) {
      const response = await signIn(atlas, email, PASSWORD, { json: { organization } });
      await expectProblem(atlas, response, 404, 'organization_not_found');
    }
  });

  test('ends the session that the request was sent with, and always makes a new token', async () => {
    const { email } = await person();
    const first = await startedBy(await signIn(atlas, email));
    const second = await startedBy(await signIn(atlas, email, PASSWORD, { headers: bearer(first.token) }));
    expect(second.token).not.toBe(first.token);
    const rows = await atlas.sql`SELECT id FROM sessions WHERE id IN (${first.id}, ${second.id})`;
    expect(rows.map(({ id }) => id)).toEqual([second.id]);
  });

  test('a 21st time ends the oldest session', async () => {
    const { id, email, sessionId } = await person();
    for (let i = 0; i < 20; i++) await startedBy(await signIn(atlas, email));
    const rows = await atlas.sql`SELECT id FROM sessions WHERE user_id = ${id}`;
    expect(rows).toHaveLength(20);
    expect(rows.map((row) => row.id)).not.toContain(sessionId);
  });

  test('is recorded with the session, its user, and where it came from', async () => {
    const { id, email } = await person({ organization: 'observed' });
    const started = await startedBy(await signIn(atlas, email));
    const [entry] = await atlas.sql`SELECT * FROM audit_entries WHERE target_id = ${started.id}`;
    expect(entry).toMatchObject({ action: 'session.created', organization: 'observed' });
    expect(entry!.actor).toMatchObject({ kind: 'session', id: started.id, userId: id, address: '192.0.2.1' });
  });

  test('leaves no password and no token in the log', async () => {
    const { email } = await person();
    const { token } = await startedBy(await signIn(atlas, email));
    await signIn(atlas, email, 'a wrong password');
    await visit(atlas, 'GET', '/v1/audit', { headers: bearer(token) });
    await visit(atlas, 'GET', '/v1/audit', { headers: { Cookie: `__Host-atlas_session=${token}` } });
    const log = atlas.logs.join('');
    expect(log).toContain(token.split('_')[2]!);
    for (const secret of [token, token.split('_')[3]!, PASSWORD, 'a wrong password', email])
      expect(log).not.toContain(secret);
  });
});

describe('who may not sign in gets one response', () => {
  const refusal = async (email: string, password = PASSWORD) => {
    const { detail, title } = await expectProblem(
      atlas,
      await signIn(atlas, email, password),
      401,
      'sign_in_failed',
    );
    return { detail, title };
  };

  test('with a wrong password, an unknown address, none at all, no password, unconfirmed, and locked out', async () => {
    const { email } = await person();
    const [none, unconfirmed, locked] = [
      await person({ passwordHash: undefined }),
      await person(),
      await person(),
    ];
    await atlas.sql`UPDATE users SET confirmed_at = NULL WHERE id = ${unconfirmed.id}`;
    await atlas.sql`UPDATE users SET locked_at = now() WHERE id = ${locked.id}`;
    const expected = await refusal(email, 'a wrong password');
    for (const other of ['unknown@example.com', 'no address', none.email, unconfirmed.email, locked.email])
      expect(await refusal(other)).toEqual(expected);
  });

  test('after one hash of the same cost', async () => {
    const { email } = await person();
    const verify = spyOn(passwordThread, 'verify');
    try {
      for (const sent of [
        email,
        'unknown@example.com',
        'no address',
        (await person({ passwordHash: undefined })).email,
      ])
        await refusal(sent, 'a wrong password');
      const hashes = verify.mock.calls.map(([, hash]) => String(hash));
      expect(hashes).toHaveLength(4);
      for (const hash of hashes) expect(hash).toStartWith('$argon2id$v=19$m=19456,t=2,p=1$');
    } finally {
      verify.mockRestore();
    }
  });

  test('if the password was changed while it was checked', async () => {
    const { id, email } = await person();
    const verify = spyOn(passwordThread, 'verify').mockImplementation(async () => {
      await atlas.sql`UPDATE users SET password_hash = 'changed' WHERE id = ${id}`;
      return true;
    });
    try {
      await refusal(email);
    } finally {
      verify.mockRestore();
    }
  });

  test('with a second factor, the password alone starts no session', async () => {
    const { id, email } = await person();
    await atlas.sql`UPDATE users SET totp_confirmed_at = now() WHERE id = ${id}`;
    await expectProblem(atlas, await signIn(atlas, email), 401, 'second_factor_required');
    await expectProblem(atlas, await signIn(atlas, email, 'a wrong password'), 401, 'sign_in_failed');
    expect(await atlas.sql`SELECT FROM sessions WHERE user_id = ${id}`).toHaveLength(1);
  });
});

describe('passwords are sent over TLS, or not at all:', () => {
  const ROUTES = [
    ['POST', '/v1/sessions', { email: 'a@example.com', password: PASSWORD }],
    ['POST', '/v1/users', { email: 'a@example.com', password: PASSWORD }],
    ['POST', '/v1/users/confirmations', { token: 'x', password: PASSWORD }],
    ['POST', '/v1/users/password-resets', { email: 'a@example.com' }],
    ['POST', '/v1/users/password-resets/completions', { token: 'x', password: PASSWORD }],
    ['PUT', '/v1/users/me/password', { currentPassword: PASSWORD, newPassword: PASSWORD }],
  ] as const;

  test('with a public origin without it, they are refused with advice', async () => {
    const app = await startTestApp({
      DATABASE_URL: atlas.deps.databaseUrl,
      PUBLIC_URL: 'http://atlas.example.com',
    });
    try {
      const { token } = await person();
      for (const [method, path, json] of ROUTES) {
        const response = await visit(app, method, path, { json, headers: bearer(token) });
        const { detail } = await expectProblem(app, response, 403, 'https_required');
        expect(detail).toContain('http://atlas.example.com');
      }
    } finally {
      await app.close();
    }
  });

  test('in production the public origin must be set', async () => {
    const app = await startTestApp({
      DATABASE_URL: atlas.deps.databaseUrl,
      ENVIRONMENT: 'production',
      SECRETS_KEY: Buffer.alloc(32, 1).toString('base64'),
    });
    try {
      const response = await signIn(app, 'a@example.com');
      const { detail } = await expectProblem(app, response, 403, 'https_required');
      expect(detail).toContain('PUBLIC_URL');
    } finally {
      await app.close();
    }
  });
});

test('the person of the demo data signs in where developers are', async () => {
  await seed(atlas.features);
  await startedBy(await signIn(atlas, DEMO_PERSON.email, DEMO_PERSON.password));
});

test.each([
  { API_HOST: '0.0.0.0' },
  { ENVIRONMENT: 'staging', PUBLIC_URL: 'http://localhost:8000' },
  { PUBLIC_URL: 'https://atlas.example.com' },
  { TRUSTED_PROXIES: '127.0.0.1' },
])('the person of the demo data does not sign in where others may be: %j', async (settings) => {
  await seed(atlas.features);
  const app = await startTestApp({ DATABASE_URL: atlas.deps.databaseUrl, ...settings });
  try {
    const response = await signIn(app, DEMO_PERSON.email, DEMO_PERSON.password);
    await expectProblem(app, response, 401, 'sign_in_failed');
  } finally {
    await app.close();
  }
});

test('attempts are counted by outcome, and nothing of a person is in a label', async () => {
  const app = await startTestApp({ DATABASE_URL: atlas.deps.databaseUrl });
  try {
    const { email } = await person();
    await startedBy(await signIn(app, email));
    await signIn(app, email, 'a wrong password');
    const metrics = await app.registry.metrics();
    expect(metrics).toContain('atlas_sign_ins_total{outcome="succeeded"} 1');
    expect(metrics).toContain('atlas_sign_ins_total{outcome="failed"} 1');
    expect(metrics).toContain('atlas_password_hashes_total 2');
    expect(metrics).not.toContain(email);
  } finally {
    await app.close();
  }
});
