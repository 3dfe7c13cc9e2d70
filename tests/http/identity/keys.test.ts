import { afterAll, beforeAll, expect, spyOn, test } from 'bun:test';
import { makeToken } from '../../../src/features/identity/token.ts';
import { ALL_SCOPES } from '../../../src/features.ts';
import { openAccount } from '../../support/ledger-steps.ts';
import { callWithoutKey, START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp({ LOG_LEVEL: 'trace' });
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const ping = (authorization: string, app = atlas) =>
  app.call('GET', '/v1/ping', { headers: { Authorization: authorization } });
const expectUnauthenticated = async (response: Response) => {
  expect(response.headers.get('www-authenticate')).toBe('Bearer realm="atlas"');
  await expectProblem(atlas, response, 401, 'unauthenticated');
};
const idOf = (token: string) => token.split('_')[2]!;

test('a key opens the routes of its scopes', async () => {
  const token = await atlas.key(['ping:read']);
  expect(token).toMatch(/^atlas_live_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}$/);
  expect((await ping(`Bearer ${token}`)).status).toBe(200);
  expect((await ping(`bearer  ${token} `)).status).toBe(200);
});

test('without a key the response is 401 and says how to send one', async () => {
  await expectUnauthenticated(await callWithoutKey(atlas, 'GET', '/v1/ping'));
});

test.each([
  '',
  'Bearer',
  'Bearer ',
  'Basic dXNlcjpwYXNz',
  'Bearer none',
  'Bearer a b',
  'Bearer atlas_live_x',
])('the authorization %p is refused', async (authorization) =>
  expectUnauthenticated(await ping(authorization)),
);

test('a key is rejected without its scheme, with a changed character, or truncated', async () => {
  const token = await atlas.key();
  const changed = (at: number) => token.slice(0, at) + (token[at] === 'a' ? 'b' : 'a') + token.slice(at + 1);
  await expectUnauthenticated(await ping(token));
  for (const bad of [changed(12), changed(40), changed(token.length - 1), token.slice(0, -1), `${token}0`]) {
    await expectUnauthenticated(await ping(`Bearer ${bad}`));
  }
});

test('a key with a wrong checksum is rejected without a query', async () => {
  const token = await atlas.key();
  const app = await startTestApp({ DATABASE_URL: atlas.deps.databaseUrl });
  await app.deps.database.end();
  await expectUnauthenticated(
    await ping(`Bearer ${token.slice(0, -1)}${token.endsWith('0') ? '1' : '0'}`, app),
  );
  expect((await ping(`Bearer ${token}`, app)).status).toBe(503);
  await app.close();
});

test('a key that Atlas did not create is rejected, and so is one with the ID of another key', async () => {
  await expectUnauthenticated(await ping(`Bearer ${makeToken().token}`));
  const [forged, other] = [makeToken(), makeToken()];
  await atlas.sql`
    INSERT INTO api_keys (id, owner, name, secret_hash, scopes)
    VALUES (${forged.id}, 'owner', 'test', ${other.secretHash}, ${ALL_SCOPES})`;
  await expectUnauthenticated(await ping(`Bearer ${forged.token}`));
});

test('an expired key is rejected, and one that expires tomorrow is not', async () => {
  const make = (expiresAt: Date) =>
    atlas.keys.create({ owner: 'owner', name: 'test', scopes: ALL_SCOPES, expiresAt });
  const day = 86_400_000;
  const expired = await make(new Date(Date.now() - 1000));
  const lasting = await make(new Date(Date.now() + day));
  await expectUnauthenticated(await ping(`Bearer ${expired.token}`));
  expect((await ping(`Bearer ${lasting.token}`)).status).toBe(200);
});

test('a key without the scope gets 403 and the name of the scope', async () => {
  const response = await ping(`Bearer ${await atlas.key(['accounts:read'])}`);
  const { detail } = await expectProblem(atlas, response, 403, 'forbidden');
  expect(detail).toContain('ping:read');
  expect(response.headers.has('www-authenticate')).toBe(false);
});

test('a revoked key stops working immediately if unused, and within 5 s if in use', async () => {
  const [used, unused] = [await atlas.key(), await atlas.key()];
  expect((await ping(`Bearer ${used}`)).status).toBe(200);
  expect(await atlas.keys.revoke(idOf(used))).toBe(true);
  expect(await atlas.keys.revoke(idOf(unused))).toBe(true);
  await expectUnauthenticated(await ping(`Bearer ${unused}`));
  const realNow = performance.now.bind(performance);
  const clock = spyOn(performance, 'now').mockImplementation(() => realNow() + 4999);
  await expectUnauthenticated(await ping(`Bearer ${used}`));
  clock.mockRestore();
  expect(await atlas.keys.revoke(idOf(used))).toBe(false);
  expect(await atlas.keys.revoke('nobody')).toBe(false);
});

test('a key in constant use is refreshed in the background, and found revoked', async () => {
  const token = await atlas.key();
  expect((await ping(`Bearer ${token}`)).status).toBe(200);
  await atlas.keys.revoke(idOf(token));
  const realNow = performance.now.bind(performance);
  const clock = spyOn(performance, 'now').mockImplementation(() => realNow() + 2500);
  // The first response comes from memory and starts the refresh; the clock stays at 2.5 s until it is done.
  expect((await ping(`Bearer ${token}`)).status).toBe(200);
  await until(async () => (await ping(`Bearer ${token}`)).status === 401);
  clock.mockRestore();
});

test('the last use of a key is saved, and of no other', async () => {
  const [used, unused] = [await atlas.key(), await atlas.key()];
  await ping(`Bearer ${used}`);
  await atlas.keys.flushLastUsed();
  const keys = await atlas.keys.list();
  expect(keys.find(({ id }) => id === idOf(used))!.lastUsedAt).toBeInstanceOf(Date);
  expect(keys.find(({ id }) => id === idOf(unused))!.lastUsedAt).toBeNull();
});

test('the list of keys has all of them, oldest first, however many and large they are', async () => {
  await atlas.sql`
    INSERT INTO api_keys (id, owner, name, secret_hash, scopes, created_at)
    SELECT 'many' || n, 'many', repeat('x', 5000), sha256(''), '{}', '2020-01-01T00:00:00.000001Z'
      FROM generate_series(1, 1500) n`;
  const listed = (await atlas.keys.list()).map(({ id }) => id);
  const stored = await atlas.sql<{ id: string }[]>`SELECT id FROM api_keys ORDER BY created_at, id`;
  expect(listed).toEqual(stored.map(({ id }) => id));
});

test('the list of keys has no secret and no hash', async () => {
  const token = await atlas.key();
  const listed = (await atlas.keys.list()).find(({ id }) => id === idOf(token))!;
  expect(Object.keys(listed).sort()).toEqual([
    'createdAt',
    'createdBy',
    'expiresAt',
    'id',
    'kind',
    'lastUsedAt',
    'name',
    'owner',
    'replacedBy',
    'revokedAt',
    'scopes',
  ]);
});

test('the secret of a key is neither in the database nor in the logs, even when something breaks', async () => {
  const token = await atlas.key();
  const secret = token.split('_')[3]!.slice(0, 43);
  const headers = {
    Authorization: `Bearer ${token}`,
    'X-Request-ID': 'look/here',
    'Idempotency-Key': 'look',
  };
  const { id } = await openAccount(atlas);
  await atlas.call('POST', '/v1/transfers', {
    json: { debitAccountId: id, creditAccountId: id, amount: 1 },
    headers,
  });
  await atlas.sql`ALTER TABLE accounts RENAME COLUMN ledger TO elsewhere`;
  expect((await atlas.call('GET', `/v1/accounts?limit=1`, { headers })).status).toBe(500);
  await atlas.sql`ALTER TABLE accounts RENAME COLUMN elsewhere TO ledger`;
  atlas.deps.logger.warn({ token, headers: { authorization: token } }, `somebody wrote ${token} into a line`);
  const logs = atlas.logs.join('');
  expect(logs).toContain('look/here');
  expect(logs).not.toContain(secret);
  const [dump] =
    await atlas.sql`SELECT string_agg(k::text || encode(secret_hash, 'escape'), ' ') AS rows FROM api_keys k`;
  expect(dump!.rows).toContain(idOf(token));
  expect(dump!.rows).not.toContain(secret);
});

test('every key of a suspended organization gets 403 within 5 s, and works again once reinstated', async () => {
  const { token } = await atlas.keys.create({
    owner: 'acme',
    name: 'test',
    scopes: ALL_SCOPES,
    expiresAt: null,
  });
  await atlas.sql`UPDATE organizations SET suspended_at = now() WHERE id = 'acme'`;
  await until(async () => (await ping(`Bearer ${token}`)).status === 403);
  await expectProblem(atlas, await ping(`Bearer ${token}`), 403, 'organization_suspended');
  expect((await ping(`Bearer ${await atlas.key()}`)).status).toBe(200);
  await atlas.sql`UPDATE organizations SET suspended_at = NULL WHERE id = 'acme'`;
  await until(async () => (await ping(`Bearer ${token}`)).status === 200);
});

test('the first key of an owner makes its organization, also if a host of the release before creates it', async () => {
  const { id, secretHash } = makeToken();
  await atlas.sql`
    INSERT INTO api_keys (id, owner, name, secret_hash, scopes) VALUES (${id}, 'newcomer', 'test', ${secretHash}, '{}')`;
  const [organization] =
    await atlas.sql`SELECT id, name, suspended_at FROM organizations WHERE id = 'newcomer'`;
  expect(organization).toEqual({ id: 'newcomer', name: 'newcomer', suspendedAt: null });
});

test('a new installation still gets its first key after an operator has created one', async () => {
  const app = await startTestApp();
  expect(await app.keys.isEmpty()).toBe(false);
  await app.sql`DELETE FROM api_keys WHERE kind <> 'operator'`;
  expect(await app.sql`SELECT id FROM api_keys`).toHaveLength(1);
  expect(await app.keys.isEmpty()).toBe(true);
  await app.close();
});

test('keys of the demo data do not count as the first key, and exist once', async () => {
  const fresh = await startTestApp();
  await fresh.sql`DELETE FROM api_keys`;
  for (let i = 0; i < 2; i++) await fresh.keys.createDemo();
  expect(await fresh.keys.list()).toHaveLength(2);
  expect(await fresh.keys.isEmpty()).toBe(true);
  await fresh.key();
  expect(await fresh.keys.isEmpty()).toBe(false);
  await fresh.close();
});
