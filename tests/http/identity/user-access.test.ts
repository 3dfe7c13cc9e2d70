import { afterAll, beforeAll, expect, test } from 'bun:test';
import { ALL_SCOPES, OPERATOR_SCOPES } from '../../../src/features.ts';
import { auditOf, callAs } from '../../support/member-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { addMember, createSession, createUser } from '../../support/user-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const lockOf = (id: string) => `/v1/operator/users/${id}/lock`;
const ping = ({ token }: { token: string }) => callAs(atlas, { token }, 'GET', '/v1/ping');

test('an operator finds a user by their address, in any case, with their organizations', async () => {
  const user = await createUser(atlas, { organization: 'z-org', role: 'viewer' });
  await addMember(atlas, user.id, 'a-org', 'owner');
  const find = (email: string) => atlas.call('GET', `/v1/operator/users?email=${encodeURIComponent(email)}`);
  expect(await (await find(user.email.toUpperCase())).json()).toEqual({
    users: [
      {
        id: user.id,
        email: user.email,
        name: '',
        createdAt: expect.stringMatching(/^20.*Z$/),
        confirmedAt: expect.stringMatching(/^20.*Z$/),
        lockedAt: null,
        organizations: [
          { id: 'a-org', role: 'owner' },
          { id: 'z-org', role: 'viewer' },
        ],
      },
    ],
  });
  expect(await (await find('nobody@example.com')).json()).toEqual({ users: [] });
  await expectProblem(atlas, await find('nobody'), 400, 'invalid_request', ['/query/email']);
});

test('a locked user is refused within 5 s, in all sessions, and old sessions stay ended when they are let in', async () => {
  const user = await createUser(atlas, { organization: 'locked-out' });
  const second = await createSession(atlas, user.id, 'locked-out');
  const other = await createUser(atlas, { organization: 'locked-out' });
  for (const session of [user, second, other]) expect((await ping(session)).status).toBe(200);
  const locked = await atlas.call('PUT', lockOf(user.id));
  expect(locked.status).toBe(200);
  const body = await locked.json();
  expect(body).toMatchObject({ id: user.id, lockedAt: expect.stringMatching(/^20.*Z$/) });
  // What they change meanwhile, through a cache that does not know of the lock yet, is refused.
  await expectProblem(
    atlas,
    await callAs(atlas, user, 'POST', '/v1/api-keys', { name: 'stays', scopes: ['ping:read'] }),
    401,
    'unauthenticated',
  );
  for (const session of [user, second])
    await until(async () => (await ping(session)).status === 401, { deadlineMs: 5000 });
  expect((await ping(other)).status).toBe(200);
  expect(await (await atlas.call('PUT', lockOf(user.id))).json()).toEqual(body);

  // A session that starts all the same opens nothing.
  const late = await createSession(atlas, user.id, 'locked-out');
  expect((await ping(late)).status).toBe(401);
  expect((await atlas.call('PUT', lockOf(user.id))).status).toBe(200);
  const unlocked = await atlas.call('DELETE', lockOf(user.id));
  expect(await unlocked.json()).toMatchObject({ lockedAt: null });
  expect((await atlas.call('DELETE', lockOf(user.id))).status).toBe(200);
  for (const session of [user, second, late]) expect((await ping(session)).status).toBe(401);
  expect((await ping(await createSession(atlas, user.id, 'locked-out'))).status).toBe(200);

  expect(await auditOf(atlas, 'locked-out', 'session')).toHaveLength(3);
  const entries = (await auditOf(atlas, '', 'user')).filter(({ targetId }) => targetId === user.id);
  expect(entries.map(({ action, before, after }) => ({ action, before, after }))).toEqual([
    { action: 'user.locked', before: { lockedAt: null }, after: { lockedAt: expect.any(String) } },
    { action: 'user.unlocked', before: { lockedAt: expect.any(String) }, after: { lockedAt: null } },
  ]);
});

test('a user who does not exist is neither locked nor unlocked', async () => {
  const path = lockOf('0198c0de-0000-7000-8000-000000000001');
  for (const method of ['PUT', 'DELETE'])
    await expectProblem(atlas, await atlas.call(method, path), 404, 'user_not_found');
});

test('only operators find and lock users', async () => {
  const user = await createUser(atlas, { organization: 'no-operator' });
  const key = { token: await atlas.key([...ALL_SCOPES, ...OPERATOR_SCOPES], 'no-operator') };
  for (const caller of [user, key])
    for (const [method, path] of [
      ['GET', `/v1/operator/users?email=${user.email}`],
      ['PUT', lockOf(user.id)],
      ['DELETE', lockOf(user.id)],
    ] as const)
      await expectProblem(atlas, await callAs(atlas, caller, method, path), 403, 'forbidden');
  expect((await ping(user)).status).toBe(200);
});
