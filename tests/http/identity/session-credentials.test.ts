import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { ROLES, scopesOfRoles } from '../../../src/features/identity/roles.ts';
import { makeToken } from '../../../src/features/identity/token.ts';
import { ALL_SCOPES } from '../../../src/features.ts';
import { createKey, listKeys } from '../../support/key-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { addMember, bearer, createSession, createUser } from '../../support/user-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
// Another worker, with a cache of its own.
let other: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
  other = await startTestApp({ DATABASE_URL: atlas.deps.databaseUrl });
}, START_TIMEOUT_MS);
afterAll(async () => {
  await other.close();
  await atlas.close();
});

const statusOf = async (token: string, path = '/v1/ping', on = atlas) =>
  (await on.call('GET', path, { headers: bearer(token) })).status;
/** Waits until both workers respond like this, which takes less than 5 s. */
const becomes = (token: string, status: number, path?: string) =>
  until(
    async () => (await statusOf(token, path)) === status && (await statusOf(token, path, other)) === status,
    { deadlineMs: 5000 },
  );

describe('a session', () => {
  test.each(ROLES)('of the role %s opens the routes of its scopes, and no others', async (role) => {
    const { token } = await createUser(atlas, { organization: `roles ${role}`, role });
    const { body } = await atlas.call('GET', '/v1/ping', { headers: bearer(token) });
    await body?.cancel();
    const held = scopesOfRoles(ALL_SCOPES)[role];
    for (const { method, pattern, scope } of atlas.routes) {
      if (scope === null || method !== 'GET' || pattern.includes('{') || pattern.includes('stream')) continue;
      const status = await statusOf(token, pattern);
      const isHeld = held.includes(scope) || scope.startsWith('me:');
      expect({ pattern, isRefused: status === 403 }).toEqual({ pattern, isRefused: !isHeld });
    }
  });

  test('acts for its organization: what it creates belongs there', async () => {
    const { token } = await createUser(atlas, { organization: 'builders', role: 'admin' });
    const { id, createdBy } = await createKey(atlas, {}, { token });
    expect(token).toContain(createdBy!);
    const key = await atlas.key(ALL_SCOPES, 'builders');
    expect((await listKeys(atlas, { token: key })).map((found) => found.id)).toContain(id);
  });

  test('that creates keys is recorded with its user', async () => {
    const { id, token, sessionId } = await createUser(atlas, { organization: 'recorded', role: 'admin' });
    await createKey(atlas, {}, { token });
    const response = await atlas.call('GET', '/v1/audit', { headers: bearer(token) });
    const { entries } = (await response.json()) as { entries: { actor: object }[] };
    expect(entries[0]!.actor).toMatchObject({ kind: 'session', id: sessionId, userId: id });
  });

  test('of a user without an organization has only what belongs to the person', async () => {
    const { token } = await createUser(atlas);
    await expectProblem(
      atlas,
      await atlas.call('GET', '/v1/ping', { headers: bearer(token) }),
      403,
      'forbidden',
    );
  });

  test('never acts for an organization of which the user is no member', async () => {
    const { id } = await createUser(atlas, { organization: 'own', role: 'owner' });
    await addMember(atlas, (await createUser(atlas)).id, 'strangers', 'owner');
    const { token } = await createSession(atlas, id, 'strangers');
    expect(await statusOf(token)).toBe(403);
  });

  test('is refused with another secret, or as another kind of token', async () => {
    const { token, sessionId } = await createUser(atlas, { organization: 'guessed' });
    const forged = makeToken('session').token.replace(/_[^_]{16}_/, `_${sessionId}_`);
    expect(await statusOf(forged)).toBe(401);
    expect(await statusOf(token.replace('session', 'live'))).toBe(401);
    expect(await statusOf(token)).toBe(200);
  });
});

describe('within 5 s on every worker, a session', () => {
  test('that was deleted is refused', async () => {
    const { token, sessionId } = await createUser(atlas, { organization: 'ended' });
    await becomes(token, 200);
    await atlas.sql`DELETE FROM sessions WHERE id = ${sessionId}`;
    await becomes(token, 401);
  });

  test('of a user who is locked out is refused, and works again afterwards', async () => {
    const { id, token } = await createUser(atlas, { organization: 'locked' });
    await becomes(token, 200);
    await atlas.sql`UPDATE users SET locked_at = now() WHERE id = ${id}`;
    await becomes(token, 401);
    await atlas.sql`UPDATE users SET locked_at = NULL WHERE id = ${id}`;
    await becomes(token, 200);
  });

  test('has the scopes of another role, and none once its user was removed', async () => {
    const { id, token } = await createUser(atlas, { organization: 'changing', role: 'owner' });
    await becomes(token, 200, '/v1/audit');
    await atlas.sql`UPDATE memberships SET role = 'viewer' WHERE user_id = ${id}`;
    await becomes(token, 403, '/v1/audit');
    expect(await statusOf(token)).toBe(200);
    await atlas.sql`DELETE FROM memberships WHERE user_id = ${id}`;
    await becomes(token, 403);
  });

  test('of a suspended organization gets 403', async () => {
    const { token } = await createUser(atlas, { organization: 'paused' });
    await becomes(token, 200);
    await atlas.call('PUT', '/v1/operator/organizations/paused/suspension');
    await becomes(token, 403);
    const response = await atlas.call('GET', '/v1/ping', { headers: bearer(token) });
    await expectProblem(atlas, response, 403, 'organization_suspended');
  });
});

describe('a session ends', () => {
  test.each([
    ['unused for 12 hours', `last_used_at = now() - interval '12 hours'`],
    ['at its absolute limit', `expires_at = now()`],
  ])('%s', async (_, change) => {
    const { token, sessionId } = await createUser(atlas, { organization: 'idle' });
    await atlas.sql.unsafe(`UPDATE sessions SET ${change} WHERE id = '${sessionId}'`);
    expect(await statusOf(token)).toBe(401);
  });

  test('not while it is used', async () => {
    const { token, sessionId } = await createUser(atlas, { organization: 'busy' });
    await atlas.sql`UPDATE sessions SET last_used_at = now() - interval '11 hours' WHERE id = ${sessionId}`;
    expect(await statusOf(token)).toBe(200);
    await atlas.jobs.find(({ name }) => name === 'save when sessions were last used')!.run();
    const [row] = await atlas.sql`
      SELECT last_used_at > now() - interval '1 minute' AS used FROM sessions WHERE id = ${sessionId}`;
    expect(row!.used).toBe(true);
  });
});

test('a session has the quota of keys by default, and that of its organization', async () => {
  const app = await startTestApp({
    DATABASE_URL: atlas.deps.databaseUrl,
    QUOTA_KEY_CONCURRENT_REQUESTS: '7',
  });
  try {
    const { token } = await createUser(atlas, { organization: 'metered' });
    const quota = { requestsPerSecond: 1, burst: 0, concurrentRequests: null };
    await atlas.call('PUT', '/v1/operator/quotas/organization/metered', { json: quota });
    await until(async () => (await statusOf(token, '/v1/ping', app)) === 429);
  } finally {
    await app.close();
  }
});
