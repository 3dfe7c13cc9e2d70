import { afterAll, beforeAll, describe, expect, spyOn, test } from 'bun:test';
import { ALL_SCOPES } from '../../../src/features.ts';
import { availableEngines } from '../../support/database.ts';
import {
  createKey,
  listKeys,
  pingStatus,
  postKey,
  postRevocation,
  postRotation,
} from '../../support/key-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { createUser } from '../../support/user-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

const DAY_MS = 86_400_000;
const secretOf = (token: string) => token.split('_')[3]!;

/** Runs `work` as if that many milliseconds had passed for the cache of keys. */
async function later(ms: number, work: () => Promise<void>): Promise<void> {
  const realNow = performance.now.bind(performance);
  const clock = spyOn(performance, 'now').mockImplementation(() => realNow() + ms);
  await work().finally(() => clock.mockRestore());
}

describe.each(availableEngines())('API keys over HTTP on the %s PostgreSQL', (engine) => {
  let atlas: TestApp;
  beforeAll(async () => {
    atlas = await startTestApp({ LOG_LEVEL: 'trace' }, engine);
  }, START_TIMEOUT_MS);
  afterAll(() => atlas.close());

  const count = async (owner: string) =>
    (await atlas.sql<[{ n: number }]>`SELECT count(*)::int AS n FROM api_keys WHERE owner = ${owner}`)[0].n;

  test('a created key opens exactly its scopes, and only its creation returns it', async () => {
    const response = await postKey(atlas, {
      name: 'Shop',
      scopes: ['ping:read', 'accounts:read', 'ping:read'],
      expiresInSeconds: 3600,
    });
    expect(response.status).toBe(201);
    const key = (await response.json()) as Awaited<ReturnType<typeof createKey>>;
    expect(response.headers.get('location')).toBe(`/v1/api-keys/${key.id}`);
    expect(key).toMatchObject({
      kind: 'live',
      name: 'Shop',
      state: 'active',
      replacedBy: null,
      revokedAt: null,
    });
    expect(key.scopes).toEqual(['accounts:read', 'ping:read']);
    expect(key.token).toStartWith(`atlas_live_${key.id}_`);
    expect(Math.abs(Date.parse(key.expiresAt!) - Date.now() - 3_600_000)).toBeLessThan(30_000);
    expect(await pingStatus(atlas, key.token)).toBe(200);
    const webhooks = { headers: { Authorization: `Bearer ${key.token}` } };
    await expectProblem(atlas, await atlas.call('GET', '/v1/webhooks', webhooks), 403, 'forbidden');
    const { token: _, ...resource } = key;
    const read = await atlas.call('GET', `/v1/api-keys/${key.id}`);
    expect(await read.json()).toEqual({ ...resource, lastUsedAt: null });
    const listed = await atlas.call('GET', '/v1/api-keys');
    const text = await listed.text();
    expect(text).toContain(key.id);
    expect(text).not.toContain(secretOf(key.token));
    expect(atlas.logs.join('')).not.toContain(secretOf(key.token));
  });

  test('nobody grants a scope that their own key does not have', async () => {
    const token = await atlas.key(['keys:write', 'keys:read', 'ping:read'], 'narrow');
    const wide = await atlas.key(ALL_SCOPES, 'narrow');
    const before = await count('narrow');
    const refused = await postKey(atlas, { name: 'x', scopes: ['ping:read', 'transfers:write'] }, { token });
    expect((await expectProblem(atlas, refused, 403, 'scopes_exceeded')).detail).toContain('transfers:write');
    // A rotation would hand out the scopes of the other key.
    const rotated = await postRotation(atlas, wide.split('_')[2]!, {}, { token });
    await expectProblem(atlas, rotated, 403, 'scopes_exceeded');
    expect(await count('narrow')).toBe(before);
    expect((await createKey(atlas, { scopes: ['keys:write'] }, { token })).scopes).toEqual(['keys:write']);
  });

  test('keys:read does not create, rotate or revoke, and keys:write does not read', async () => {
    const reader = { token: await atlas.key(['keys:read', 'ping:read'], 'scoped') };
    const writer = { token: await atlas.key(['keys:write', 'ping:read'], 'scoped') };
    const { id } = await createKey(atlas, {}, writer);
    for (const response of [
      await postKey(atlas, { name: 'x', scopes: ['ping:read'] }, reader),
      await postRotation(atlas, id, {}, reader),
      await postRevocation(atlas, id, reader),
      await atlas.call('GET', '/v1/api-keys', { headers: { Authorization: `Bearer ${writer.token}` } }),
      await atlas.call('GET', `/v1/api-keys/${id}`, { headers: { Authorization: `Bearer ${writer.token}` } }),
    ])
      await expectProblem(atlas, response, 403, 'forbidden');
    expect((await listKeys(atlas, reader)).every(({ state }) => state === 'active')).toBe(true);
  });

  test('keys of another organization do not exist, in every route', async () => {
    const { id, token } = await createKey(atlas);
    const other = { token: await atlas.key(ALL_SCOPES, 'stranger') };
    const get = (path: string) =>
      atlas.call('GET', path, { headers: { Authorization: `Bearer ${other.token}` } });
    const problems = [];
    for (const wanted of [id, 'nobodynobody0000']) {
      for (const response of [
        await get(`/v1/api-keys/${wanted}`),
        await postRotation(atlas, wanted, {}, other),
        await postRevocation(atlas, wanted, other),
      ]) {
        const problem = await expectProblem(atlas, response, 404, 'api_key_not_found');
        problems.push(problem.detail.replace(wanted, 'ID'));
      }
    }
    expect(new Set(problems).size).toBe(1);
    expect(await pingStatus(atlas, token)).toBe(200);
    const listed = await listKeys(atlas, other);
    expect(listed.map(({ name }) => name)).toEqual(['test']);
    expect(listed[0]!.id).toBe(other.token.split('_')[2]!);
  });

  test('a rotated key and its successor both work during the overlap, and then only the successor', async () => {
    const old = await createKey(atlas, { expiresInSeconds: 86_400, scopes: ['ping:read', 'keys:read'] });
    const response = await postRotation(atlas, old.id, { overlapSeconds: 600 });
    expect(response.status).toBe(201);
    const next = (await response.json()) as typeof old & { replaces: typeof old };
    expect(response.headers.get('location')).toBe(`/v1/api-keys/${next.id}`);
    expect(next).toMatchObject({ name: old.name, kind: old.kind, scopes: old.scopes, state: 'active' });
    expect(Math.abs(Date.parse(next.expiresAt!) - Date.now() - DAY_MS)).toBeLessThan(30_000);
    expect(next.replaces).toMatchObject({ id: old.id, replacedBy: next.id, state: 'active' });
    expect(next.replaces).not.toHaveProperty('token');
    expect(Math.abs(Date.parse(next.replaces.expiresAt!) - Date.now() - 600_000)).toBeLessThan(30_000);
    for (const token of [old.token, next.token]) expect(await pingStatus(atlas, token)).toBe(200);
    await atlas.sql`UPDATE api_keys SET expires_at = now() WHERE id = ${old.id}`;
    await later(4999, async () => {
      expect(await pingStatus(atlas, old.token)).toBe(401);
      expect(await pingStatus(atlas, next.token)).toBe(200);
    });
  });

  test('an overlap of 0 ends the old key at once, and no overlap makes a key live longer', async () => {
    const leaked = await createKey(atlas);
    expect((await postRotation(atlas, leaked.id, { overlapSeconds: 0 })).status).toBe(201);
    expect(await pingStatus(atlas, leaked.token)).toBe(401);
    const ending = await createKey(atlas, { expiresInSeconds: 60 });
    const rotated = (await (await postRotation(atlas, ending.id, { overlapSeconds: 604_800 })).json()) as {
      replaces: { expiresAt: string };
    };
    expect(rotated.replaces.expiresAt).toBe(ending.expiresAt!);
    for (const overlapSeconds of [-1, 604_801, 1.5])
      await expectProblem(
        atlas,
        await postRotation(atlas, ending.id, { overlapSeconds }),
        400,
        'invalid_request',
      );
  });

  test('no key creates or rotates one that outlives it, nor itself', async () => {
    const scopes = ['keys:write', 'keys:read', 'ping:read'];
    const day = await createKey(atlas, { scopes, expiresInSeconds: 86_400 });
    const lasting = await createKey(atlas);
    const bySelf = async (id: string) =>
      (await (await postRotation(atlas, id, {}, { token: day.token })).json()) as typeof day;
    const made = [
      await createKey(atlas, {}, { token: day.token }),
      await createKey(atlas, { expiresInSeconds: 172_800 }, { token: day.token }),
      await bySelf(lasting.id),
      await bySelf(day.id),
    ];
    expect(made.map(({ expiresAt }) => expiresAt)).toEqual(made.map(() => day.expiresAt));
    const brief = await createKey(atlas, { expiresInSeconds: 60 }, { token: day.token });
    expect(Math.abs(Date.parse(brief.expiresAt!) - Date.now() - 60_000)).toBeLessThan(30_000);
    // Of its children neither, nor of theirs.
    const child = await createKey(atlas, { scopes }, { token: day.token });
    expect((await createKey(atlas, {}, { token: child.token })).expiresAt).not.toBeNull();
  });

  test('a key that was rotated creates none that outlives its overlap', async () => {
    const old = await createKey(atlas, { scopes: ['keys:write', 'ping:read'] });
    const rotation = await postRotation(atlas, old.id, { overlapSeconds: 600 });
    const next = (await rotation.json()) as typeof old & { replaces: typeof old };
    expect(next.expiresAt).toBeNull();
    const heir = await createKey(atlas, {}, { token: old.token });
    expect(heir.expiresAt).toBe(next.replaces.expiresAt);
  });

  test('keys that do not expire, and people who are signed in, create keys without an expiry', async () => {
    expect((await createKey(atlas)).expiresAt).toBeNull();
    const { token } = await createUser(atlas, { organization: 'owner', role: 'admin' });
    expect((await createKey(atlas, {}, { token })).expiresAt).toBeNull();
  });

  test('a revoked or expired key cannot be rotated', async () => {
    const revoked = await createKey(atlas);
    await postRevocation(atlas, revoked.id);
    const expired = await createKey(atlas);
    await atlas.sql`UPDATE api_keys SET expires_at = now() - interval '1 second' WHERE id = ${expired.id}`;
    const before = await count('owner');
    for (const { id } of [revoked, expired])
      await expectProblem(atlas, await postRotation(atlas, id, {}), 409, 'api_key_ended');
    expect(await count('owner')).toBe(before);
  });

  test('a revoked key is dead within 5 s on every worker, also one that had just used it', async () => {
    const other = await startTestApp({ DATABASE_URL: atlas.deps.databaseUrl }, engine);
    const key = await createKey(atlas);
    for (const worker of [atlas, other]) expect(await pingStatus(worker, key.token)).toBe(200);
    const revoked = (await (await postRevocation(atlas, key.id)).json()) as typeof key;
    expect(revoked).toMatchObject({ id: key.id, state: 'revoked' });
    await later(4999, async () => {
      for (const worker of [atlas, other]) expect(await pingStatus(worker, key.token)).toBe(401);
    });
    // Repeating it changes nothing, not even the time.
    expect(await (await postRevocation(other, key.id)).json()).toMatchObject({
      revokedAt: revoked.revokedAt,
    });
    await other.close();
  });

  test('a key can revoke itself, and then does nothing more', async () => {
    const key = await createKey(atlas, { scopes: ['keys:write', 'ping:read'] });
    expect((await postRevocation(atlas, key.id, { token: key.token })).status).toBe(200);
    await later(4999, async () => {
      expect((await postRevocation(atlas, key.id, { token: key.token })).status).toBe(401);
    });
  });

  test('pages have every key of the organization once, oldest first, and the time of its last use', async () => {
    const call = { token: await atlas.key(ALL_SCOPES, 'paged') };
    await atlas.sql`
      INSERT INTO api_keys (id, owner, name, secret_hash, scopes, created_at)
      SELECT 'paged' || to_char(n, 'FM00000000000'), 'paged', 'p', sha256(''), '{}', '2020-01-01T00:00:00.000001Z'
        FROM generate_series(1, 7) n`;
    const used = await createKey(atlas, {}, call);
    await pingStatus(atlas, used.token);
    await atlas.keys.flushLastUsed();
    const stored = await atlas.sql<{ id: string }[]>`
      SELECT id FROM api_keys WHERE owner = 'paged' ORDER BY created_at, id`;
    for (const limit of [1, 3, 100]) {
      const listed = await listKeys(atlas, call, limit);
      expect(listed.map(({ id }) => id)).toEqual(stored.map(({ id }) => id));
      expect(Date.parse(listed.at(-1)!.lastUsedAt!)).toBeGreaterThan(Date.now() - 60_000);
    }
    for (const cursor of [
      'k',
      `k${'0'.repeat(46)}`,
      'w00000000000000000000000000000000',
      `k${'9'.repeat(46)}`,
    ])
      await expectProblem(
        atlas,
        await atlas.call('GET', `/v1/api-keys?cursor=${cursor}`),
        400,
        'invalid_request',
      );
  });

  test('concurrent creations never exceed the limit of usable keys', async () => {
    const call = { token: await atlas.key(['keys:write', 'ping:read'], 'many') };
    await atlas.sql`
      INSERT INTO api_keys (id, owner, name, secret_hash, scopes)
      SELECT 'many' || to_char(n, 'FM000000000000'), 'many', 'm', sha256(''), '{}' FROM generate_series(1, 197) n`;
    const body = { name: 'x', scopes: ['ping:read'] };
    const responses = await Promise.all(Array.from({ length: 6 }, () => postKey(atlas, body, call)));
    expect(responses.map(({ status }) => status).sort()).toEqual([201, 201, 422, 422, 422, 422]);
    await expectProblem(atlas, await postKey(atlas, body, call), 422, 'too_many_api_keys');
  });

  test('keys created over HTTP are deleted 30 days after their end, and no others', async () => {
    const ended = await createKey(atlas);
    const recent = await createKey(atlas);
    const byCommand = (await atlas.key()).split('_')[2]!;
    await atlas.sql`UPDATE api_keys SET revoked_at = now() - interval '31 days' WHERE id IN (${ended.id}, ${byCommand})`;
    await atlas.sql`UPDATE api_keys SET revoked_at = now() - interval '29 days' WHERE id = ${recent.id}`;
    await atlas.jobs.find(({ name }) => name === 'delete keys that ended long ago')!.run();
    const ids = (await listKeys(atlas)).map(({ id }) => id);
    expect(ids).not.toContain(ended.id);
    expect(ids).toContain(recent.id);
    expect(ids).toContain(byCommand);
  });

  test('what is created, rotated and revoked is counted', async () => {
    const key = await createKey(atlas);
    await postRotation(atlas, key.id, {});
    await postRevocation(atlas, key.id);
    const metrics = await atlas.registry.metrics();
    for (const change of ['created', 'rotated', 'revoked'])
      expect(metrics).toMatch(new RegExp(`atlas_api_key_changes_total\\{change="${change}"\\} [1-9]`));
  });
});
