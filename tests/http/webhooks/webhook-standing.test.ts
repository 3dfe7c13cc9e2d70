import { afterAll, beforeAll, expect, test } from 'bun:test';
import { ALL_SCOPES } from '../../../src/features.ts';
import { isolate } from '../../support/key-steps.ts';
import { callAs, createStaff } from '../../support/member-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { createUser } from '../../support/user-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp({ WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1' });
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

interface Caller {
  readonly token: string;
}
const url = 'http://127.0.0.1:9/hooks';

/** Creates a webhook, and returns the changes of webhooks that a caller may want to make, from then on. */
async function changesBy(caller: Caller) {
  const created = await callAs(atlas, caller, 'POST', '/v1/webhooks', { url });
  expect(created.status).toBe(201);
  const path = `/v1/webhooks/${((await created.json()) as { id: string }).id}`;
  return [
    () => callAs(atlas, caller, 'POST', '/v1/webhooks', { url }),
    () => callAs(atlas, caller, 'POST', '/v1/webhooks', { url }, { 'Idempotency-Key': crypto.randomUUID() }),
    () => callAs(atlas, caller, 'PATCH', path, { url: `${url}/mine` }, { 'If-Match': '*' }),
    () => callAs(atlas, caller, 'POST', `${path}/secret`),
  ];
}
const webhooksOf = (owner: string) =>
  atlas.sql`SELECT url, version FROM webhooks WHERE owner = ${owner} ORDER BY id`;

test('somebody who was just removed neither adds nor changes webhooks, though their session is still cached', async () => {
  const { admin } = await createStaff(atlas, 'removes');
  const changes = await changesBy(admin);
  const before = await webhooksOf('removes');
  await atlas.sql`DELETE FROM memberships WHERE user_id = ${admin.id}`;
  for (const change of changes) await expectProblem(atlas, await change(), 403, 'forbidden');
  expect(await webhooksOf('removes')).toEqual(before);
});

test('a user who was just locked out neither adds nor changes webhooks', async () => {
  const user = await createUser(atlas, { organization: 'locks', role: 'admin' });
  const changes = await changesBy(user);
  await atlas.sql`UPDATE users SET locked_at = now() WHERE id = ${user.id}`;
  for (const change of changes) await expectProblem(atlas, await change(), 401, 'unauthenticated');
});

test.each(['live', 'test'] as const)(
  'a %s key that was just revoked neither adds nor changes webhooks',
  async (kind) => {
    await isolate(atlas);
    const key = { owner: `revokes ${kind}`, kind, name: 'ci', scopes: ALL_SCOPES, expiresAt: null };
    const { id, token } = await atlas.features.identity.keys.create(key);
    const changes = await changesBy({ token });
    for (const change of changes) expect((await change()).status).toBeLessThan(300);
    await atlas.sql`UPDATE api_keys SET revoked_at = now() WHERE id = ${id}`;
    for (const change of changes) await expectProblem(atlas, await change(), 401, 'unauthenticated');
  },
);
