import { afterAll, beforeAll, expect, spyOn, test } from 'bun:test';
import { ALL_SCOPES } from '../../../src/features.ts';
import {
  createKey,
  isolate,
  listKeys,
  pingStatus,
  postKey,
  postRevocation,
  postRotation,
} from '../../support/key-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { createWebhook } from '../../support/webhook-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp({ WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1' });
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const testKey = (scopes: readonly string[] = ALL_SCOPES, token?: string) =>
  createKey(atlas, { kind: 'test', scopes }, token === undefined ? {} : { token });
const TEST_BODY = { name: 'x', kind: 'test', scopes: ['ping:read'] };

test('a test key acts in the test space of its organization, apart from its live data', async () => {
  const { token, kind } = await testKey();
  expect(token).toStartWith('atlas_test_');
  expect(kind).toBe('test');
  const live = await createWebhook(atlas, { url: 'http://127.0.0.1:9/live' });
  const headers = { Authorization: `Bearer ${token}` };
  const created = await atlas.call('POST', '/v1/webhooks', {
    json: { url: 'http://127.0.0.1:9/test' },
    headers,
  });
  const { id } = (await created.json()) as { id: string };
  const [row] = await atlas.sql`SELECT owner FROM webhooks WHERE id = ${id}`;
  expect(row!.owner).toBe('owner~test');
  expect((await atlas.call('GET', `/v1/webhooks/${live.id}`, { headers })).status).toBe(404);
  expect((await atlas.call('GET', `/v1/webhooks/${id}`)).status).toBe(404);
});

test('a test key neither sees, creates, rotates nor revokes live keys; a live key manages both', async () => {
  const live = await createKey(atlas);
  const { token, id } = await testKey();
  const call = { token };
  await expectProblem(
    atlas,
    await postKey(atlas, { ...TEST_BODY, kind: 'live' }, call),
    403,
    'scopes_exceeded',
  );
  for (const response of [
    await atlas.call('GET', `/v1/api-keys/${live.id}`, { headers: { Authorization: `Bearer ${token}` } }),
    await postRotation(atlas, live.id, {}, call),
    await postRevocation(atlas, live.id, call),
  ])
    await expectProblem(atlas, response, 404, 'api_key_not_found');
  expect((await listKeys(atlas, call)).every(({ kind }) => kind === 'test')).toBe(true);
  expect((await listKeys(atlas)).map((key) => key.id)).toEqual(expect.arrayContaining([live.id, id]));
  const rotated = (await (await postRotation(atlas, id, {})).json()) as { token: string };
  expect(rotated.token).toStartWith('atlas_test_');
  expect(await pingStatus(atlas, rotated.token)).toBe(200);
});

test('an Idempotency-Key of the test space is not one of the live data', async () => {
  const { token } = await testKey();
  const byTest = await createKey(atlas, { kind: 'test' }, { token, idempotencyKey: 'either' });
  const byLive = await createKey(atlas, { kind: 'test' }, { idempotencyKey: 'either' });
  expect(byLive.id).not.toBe(byTest.id);
});

test('however many test keys there are, or have ended, live keys can be created and rotated', async () => {
  const token = await atlas.key(ALL_SCOPES, 'crowded');
  const test = await testKey(ALL_SCOPES, token);
  await atlas.sql`
    INSERT INTO api_keys (id, owner, kind, name, secret_hash, scopes, created_by, revoked_at)
    SELECT 'full' || to_char(n, 'FM000000000000'), 'crowded', 'test', 'm', sha256(''), '{}', ${test.id},
           CASE WHEN n > 199 THEN now() END FROM generate_series(1, 2199) n`;
  for (const response of [
    await postKey(atlas, TEST_BODY, { token: test.token }),
    await postKey(atlas, TEST_BODY, { token }),
    await postRotation(atlas, test.id, {}, { token }),
  ])
    await expectProblem(atlas, response, 422, 'too_many_api_keys');
  const live = await createKey(atlas, {}, { token });
  expect((await postRotation(atlas, live.id, {}, { token })).status).toBe(201);
});

test('while isolation is off there are no test keys, and those that exist do not work', async () => {
  const { token } = await testKey(['ping:read']);
  expect(await pingStatus(atlas, token)).toBe(200);
  await isolate(atlas, false);
  await expectProblem(atlas, await postKey(atlas, TEST_BODY), 409, 'isolation_off');
  await expect(
    atlas.keys.create({ owner: 'owner', kind: 'test', name: 'x', scopes: [], expiresAt: null }),
  ).rejects.toThrow('isolation');
  const realNow = performance.now.bind(performance);
  const clock = spyOn(performance, 'now').mockImplementation(() => realNow() + 4999);
  expect(await pingStatus(atlas, token)).toBe(401);
  clock.mockRestore();
  await isolate(atlas);
});

test('a new database is isolated, so that it can have test keys', async () => {
  const fresh = await startTestApp();
  expect((await postKey(fresh, TEST_BODY)).status).toBe(201);
  await fresh.close();
});

test('test keys are refused where an organization has the name of the test space, whichever came first', async () => {
  const token = await atlas.key(ALL_SCOPES, 'clash');
  const before = await testKey(['ping:read'], token);
  // As a host of the release before creates it.
  await atlas.sql`
    INSERT INTO api_keys (id, owner, name, secret_hash, scopes)
    VALUES ('clash', 'clash~test', 'old', sha256(''), '{}')`;
  expect(await pingStatus(atlas, before.token)).toBe(401);
  await expectProblem(atlas, await postKey(atlas, TEST_BODY, { token }), 409, 'test_space_taken');
  await expectProblem(atlas, await postRotation(atlas, before.id, {}, { token }), 409, 'test_space_taken');
});

test('no new organization can have an ID with a tilde; one that exists keeps its keys', async () => {
  await expect(atlas.key(['ping:read'], 'with~tilde')).rejects.toThrow('contain ~');
  await atlas.sql`INSERT INTO organizations (id, name) VALUES ('with~tilde', 'of the release before')`;
  expect(await pingStatus(atlas, await atlas.key(['ping:read'], 'with~tilde'))).toBe(200);
});
