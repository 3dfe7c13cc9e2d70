import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { personIn } from '../../support/person-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import {
  addMember,
  bearer,
  createSession,
  createUser,
  mailsTo,
  PASSWORD,
  signIn,
  visit,
} from '../../support/user-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
// Another worker, with a cache of its own.
let other: TestApp;
beforeAll(async () => {
  atlas = await startTestApp({ PUBLIC_URL: 'https://atlas.example.com' });
  other = await startTestApp({ DATABASE_URL: atlas.deps.databaseUrl });
}, START_TIMEOUT_MS);
afterAll(async () => {
  await other.close();
  await atlas.close();
});
afterEach(async () => {
  await atlas.sql`DELETE FROM attempts`;
});

const NEW = 'another good password';
const person = personIn(() => atlas);
const call = (token: string, method: string, path: string, json?: unknown) =>
  visit(atlas, method, path, { headers: bearer(token), ...(json !== undefined && { json }) });
const bodyOf = async (response: Response) => {
  expect(response.status).toBeLessThan(300);
  return response.json() as Promise<never>;
};
/** Waits until both workers refuse the token, which takes less than 5 s. */
const ends = (token: string) =>
  until(
    async () => {
      const on = (app: TestApp) => visit(app, 'GET', '/v1/users/me', { headers: bearer(token) });
      return (await on(atlas)).status === 401 && (await on(other)).status === 401;
    },
    { deadlineMs: 5000 },
  );

describe('a person', () => {
  test('sees and changes the own user', async () => {
    const { id, email, token } = await person();
    const user = { id, email, name: '', hasPassword: true, hasSecondFactor: false };
    expect(await bodyOf(await call(token, 'GET', '/v1/users/me'))).toMatchObject(user);
    const renamed = await bodyOf(await call(token, 'PATCH', '/v1/users/me', { name: 'Ada' }));
    expect(renamed).toMatchObject({ ...user, name: 'Ada' });
    expect(JSON.stringify(renamed)).not.toContain('argon2');
    await expectProblem(
      atlas,
      await call(token, 'PATCH', '/v1/users/me', { email: 'x@example.com' }),
      400,
      'invalid_request',
    );
  });

  test('sees the own sessions, and those of nobody else', async () => {
    const { id, token, sessionId } = await person();
    const stranger = await person();
    const { sessionId: second } = await createSession(atlas, id);
    const { sessions } = (await bodyOf(await call(token, 'GET', '/v1/sessions'))) as {
      sessions: { id: string }[];
    };
    expect(sessions.map((one) => one.id).sort()).toEqual([sessionId, second].sort());
    expect(await bodyOf(await call(token, 'GET', '/v1/sessions/current'))).toMatchObject({
      id: sessionId,
      isCurrent: true,
    });
    expect(await bodyOf(await call(token, 'GET', `/v1/sessions/${second}`))).toMatchObject({
      isCurrent: false,
    });
    const theirs = `/v1/sessions/${stranger.sessionId}`;
    for (const path of [theirs, '/v1/sessions/0000000000000000'])
      for (const method of ['GET', 'DELETE'])
        await expectProblem(atlas, await call(token, method, path), 404, 'session_not_found');
    expect((await call(stranger.token, 'GET', '/v1/users/me')).status).toBe(200);
  });

  test('ends one session, all others, and the own one, on every worker', async () => {
    const { id, token } = await person();
    const [one, two] = [await createSession(atlas, id), await createSession(atlas, id)];
    for (const { token: known } of [one, two])
      expect((await visit(other, 'GET', '/v1/users/me', { headers: bearer(known) })).status).toBe(200);
    expect((await call(token, 'DELETE', `/v1/sessions/${one.sessionId}`)).status).toBe(204);
    await ends(one.token);
    expect((await call(token, 'DELETE', '/v1/sessions')).status).toBe(204);
    await ends(two.token);
    expect((await call(token, 'DELETE', '/v1/sessions/current')).status).toBe(204);
    await ends(token);
    const entries =
      await atlas.sql`SELECT FROM audit_entries WHERE action = 'session.ended' AND actor->>'userId' = ${id}`;
    expect(entries).toHaveLength(3);
  });

  test('tells an organization that they left nothing about their sessions', async () => {
    const { id, email, token } = await person({ organization: 'former', role: 'member' });
    const entries = () =>
      atlas.sql<{ organization: string; action: string }[]>`
        SELECT organization, action FROM audit_entries WHERE actor->>'userId' = ${id} ORDER BY id`;
    await signIn(atlas, email);
    expect(await entries()).toMatchObject([{ organization: 'former', action: 'session.created' }]);
    expect((await call(token, 'DELETE', '/v1/users/me/organizations/former')).status).toBe(204);
    expect((await call(token, 'DELETE', '/v1/sessions')).status).toBe(204);
    await bodyOf(await call(token, 'PUT', '/v1/sessions/current/organization', { organization: null }));
    expect((await entries()).slice(1)).toMatchObject([
      { organization: 'former', action: 'membership.removed' },
      { organization: '', action: 'session.ended' },
      { organization: '', action: 'session.rotated' },
    ]);
  });

  test('acts for another organization with another token', async () => {
    const { id, token } = await person({ organization: 'left', role: 'owner' });
    await addMember(atlas, id, 'right', 'viewer');
    const switched = (await bodyOf(
      await call(token, 'PUT', '/v1/sessions/current/organization', { organization: 'right' }),
    )) as { token: string; organization: string };
    expect(switched.organization).toBe('right');
    expect((await call(switched.token, 'GET', '/v1/accounts')).status).toBe(200);
    expect((await call(switched.token, 'GET', '/v1/audit')).status).toBe(403);
    await ends(token);
    const response = await call(switched.token, 'PUT', '/v1/sessions/current/organization', {
      organization: 'strange',
    });
    await expectProblem(atlas, response, 404, 'organization_not_found');
    const none = (await bodyOf(
      await call(switched.token, 'PUT', '/v1/sessions/current/organization', { organization: null }),
    )) as { token: string; organization: null };
    expect((await call(none.token, 'GET', '/v1/accounts')).status).toBe(403);
  });

  test('keeps the absolute limit of a session, whatever it is used for', async () => {
    const { token, sessionId } = await person({ organization: 'limits' });
    const [before] =
      await atlas.sql`SELECT expires_at, authenticated_at FROM sessions WHERE id = ${sessionId}`;
    const { id } = (await bodyOf(
      await call(token, 'PUT', '/v1/sessions/current/organization', { organization: 'limits' }),
    )) as { id: string };
    const [after] = await atlas.sql`SELECT expires_at, authenticated_at FROM sessions WHERE id = ${id}`;
    expect(after).toEqual(before);
  });
});

describe('a change of the password', () => {
  const change = (token: string, currentPassword: string, newPassword = NEW) =>
    call(token, 'PUT', '/v1/users/me/password', { currentPassword, newPassword });

  test('ends all other sessions, gives this one another token, and reports it by mail', async () => {
    const { id, email, token } = await person();
    const old = await createSession(atlas, id);
    const { token: rotated } = (await bodyOf(await change(token, PASSWORD))) as { token: string };
    expect((await call(rotated, 'GET', '/v1/users/me')).status).toBe(200);
    await ends(old.token);
    await ends(token);
    expect((await signIn(atlas, email)).status).toBe(401);
    expect((await signIn(atlas, email, NEW)).status).toBe(201);
    expect((await mailsTo(atlas, email)).map(({ subject }) => subject)).toEqual([
      'Your password was changed',
    ]);
  });

  test('needs the current password, which cannot be guessed', async () => {
    const { token } = await person();
    for (let i = 0; i < 5; i++)
      await expectProblem(atlas, await change(token, 'a wrong password'), 403, 'password_wrong');
    await expectProblem(atlas, await change(token, PASSWORD), 429, 'too_many_attempts');
  });

  test('by two requests at once succeeds once', async () => {
    const { token } = await person();
    const statuses = (await Promise.all([change(token, PASSWORD), change(token, PASSWORD, `${NEW} 2`)])).map(
      ({ status }) => status,
    );
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
  });

  test('of somebody without one is refused', async () => {
    const { token } = await createUser(atlas);
    await expectProblem(atlas, await change(token, PASSWORD), 403, 'password_wrong');
  });
});

describe('deleting the own user', () => {
  test('ends sessions and memberships, and is recorded', async () => {
    const { id, email, token } = await person({ organization: 'deserted', role: 'member' });
    expect((await call(token, 'DELETE', '/v1/users/me')).status).toBe(204);
    await ends(token);
    expect((await signIn(atlas, email)).status).toBe(401);
    expect(await atlas.sql`SELECT FROM memberships WHERE user_id = ${id}`).toHaveLength(0);
    const [entry] =
      await atlas.sql`SELECT before FROM audit_entries WHERE action = 'user.deleted' AND target_id = ${id}`;
    expect(entry!.before).toMatchObject({ email });
  });

  test('is refused to the last owner, and changes nothing', async () => {
    const { id, token } = await person({ organization: 'owned', role: 'owner' });
    await addMember(atlas, id, 'joined', 'viewer');
    await expectProblem(atlas, await call(token, 'DELETE', '/v1/users/me'), 409, 'last_owner');
    expect(await atlas.sql`SELECT FROM memberships WHERE user_id = ${id}`).toHaveLength(2);
  });

  test('of two owners at once leaves one', async () => {
    const [one, two] = [await person({ organization: 'pair' }), await person({ organization: 'pair' })];
    const statuses = await Promise.all(
      [one, two].map(async ({ token }) => (await call(token, 'DELETE', '/v1/users/me')).status),
    );
    expect(statuses.sort()).toEqual([204, 409]);
  });

  test('needs a session of the last ten minutes that has not ended', async () => {
    const { id, token, sessionId } = await person();
    const isRefused = async () =>
      expectProblem(atlas, await call(token, 'DELETE', '/v1/users/me'), 403, 'reauthentication_required');
    await atlas.sql`UPDATE sessions SET authenticated_at = now() - interval '11 minutes' WHERE id = ${sessionId}`;
    await isRefused();
    // Ended just now, so the cache of credentials still knows it.
    await atlas.sql`DELETE FROM sessions WHERE id = ${sessionId}`;
    await isRefused();
    expect(await atlas.sql`SELECT FROM users WHERE id = ${id}`).toHaveLength(1);
  });
});

describe('a suspended organization', () => {
  test('does not keep a person from the own user and sessions', async () => {
    const { token } = await person({ organization: 'halted' });
    await atlas.sql`UPDATE organizations SET suspended_at = now() WHERE id = 'halted'`;
    expect((await call(token, 'GET', '/v1/users/me')).status).toBe(200);
    await expectProblem(atlas, await call(token, 'GET', '/v1/ping'), 403, 'organization_suspended');
  });
});

test('the requests of sessions without an organization are counted for each alone', async () => {
  const app = await startTestApp({
    DATABASE_URL: atlas.deps.databaseUrl,
    QUOTA_ORGANIZATION_REQUESTS_PER_SECOND: '1',
  });
  try {
    const { token } = await person();
    for (let i = 0; i < 20; i++)
      expect((await visit(app, 'GET', '/v1/users/me', { headers: bearer(token) })).status).toBe(200);
  } finally {
    await app.close();
  }
});
