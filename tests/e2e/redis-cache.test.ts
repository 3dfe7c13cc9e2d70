import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { Redis } from 'ioredis';
import { createClient } from '../support/atlas-client.ts';
import { isRedisHere, startTestRedis, type TestRedis } from '../support/redis.ts';
import { START_TIMEOUT_MS } from '../support/test-app.ts';
import { until } from '../support/until.ts';
import { type AtlasProcess, makeFolder, removeFolder, startAtlas } from './atlas-process.ts';

describe.if(isRedisHere())('transfers cached in Redis', () => {
  let folder: string;
  let redis: TestRedis;
  let direct: Redis;
  let atlas: AtlasProcess;
  let transferId: string;
  let posted: unknown;

  beforeAll(async () => {
    folder = await makeFolder();
    redis = await startTestRedis();
    direct = new Redis(redis.url);
    direct.on('error', () => {});
    // One worker, so that each request finds what the one before has cached.
    atlas = await startAtlas(folder, { REDIS_URL: redis.url, API_WORKERS: '1' });
    const { get, post } = createClient(atlas.url, atlas.key!);
    const { accounts } = await get<{ accounts: { id: string }[] }>('/v1/accounts');
    const [bank, alice] = accounts.map(({ id }) => id);
    const order = { debitAccountId: bank, creditAccountId: alice, amount: 7 };
    posted = (await post('/v1/transfers', order, 'cached'))!.body;
    transferId = (posted as { id: string }).id;
  }, START_TIMEOUT_MS);
  afterAll(async () => {
    direct.disconnect();
    await atlas.end('SIGTERM');
    await redis.kill();
    await removeFolder(folder);
  });

  const name = () => `atlas:cache:transfer.v4:${transferId}/0/owner`;
  const read = () => createClient(atlas.url, atlas.key!).get(`/v1/transfers/${transferId}`);

  test('are cached by a read with an expiry, and read as they were posted', async () => {
    expect(await direct.exists(name())).toBe(0);
    expect(await read()).toEqual(posted);
    expect(await direct.get(name())).toContain(transferId);
    expect(await direct.pttl(name())).toBeGreaterThan(0);
    expect(await read()).toEqual(posted);
  });

  test.each([
    ['garbage', (text: string) => text.slice(0, -10)],
    ['an invalid amount', (text: string) => text.replace('"amount":7', '"amount":-7')],
    ['another transfer', (text: string) => text.replaceAll(transferId, Bun.randomUUIDv7())],
  ])('are read correctly, and repaired, if replaced by %s', async (_, spoil) => {
    await read();
    const spoilt = spoil((await direct.get(name()))!);
    await direct.set(name(), spoilt, 'PX', 60_000);
    expect(await read()).toEqual(posted);
    expect(await direct.get(name())).not.toBe(spoilt);
    expect(await direct.get(name())).toContain(transferId);
  });

  test('share Redis with files, whose absence is cached and whose deletion is visible immediately', async () => {
    const headers = { Authorization: `Bearer ${atlas.key}` };
    const call = async (method: string, path: string, body?: string) => {
      const type = body === undefined ? {} : { 'Content-Type': 'text/plain' };
      const response = await fetch(`${atlas.url}${path}`, {
        method,
        headers: { ...headers, ...type },
        body: body ?? null,
      });
      return { status: response.status, text: await response.text() };
    };
    const stored = await call('POST', '/v1/files?name=a.txt', 'seven');
    const { id } = JSON.parse(stored.text) as { id: string };
    const kept = `atlas:cache:file.v1:${id}`;
    expect((await call('GET', `/v1/files/${id}`)).text).toBe(stored.text);
    expect(await direct.get(kept)).toContain('a.txt');
    expect((await call('GET', `/v1/files/${id}`)).text).toBe(stored.text);
    expect((await call('GET', `/v1/files/${id}/content`)).text).toBe('seven');
    expect((await call('DELETE', `/v1/files/${id}`)).status).toBe(204);
    for (const path of [`/v1/files/${id}`, `/v1/files/${id}/content`])
      expect((await call('GET', path)).status).toBe(404);
    const unknown = Bun.randomUUIDv7();
    for (let i = 0; i < 2; i++) expect((await call('GET', `/v1/files/${unknown}`)).status).toBe(404);
    expect(await direct.get(`atlas:cache:file.v1:${unknown}`)).toContain('"value":null');
    const metrics = (await call('GET', '/metrics')).text;
    expect(metrics).toMatch(/^atlas_cache_operations_total\{cache="file.v1",outcome="negative"\} [1-9]/m);
    expect(metrics).toMatch(/^atlas_cache_operations_total\{cache="file.v1",outcome="hit"\} [1-9]/m);
  });

  test('are read correctly after a flush', async () => {
    await direct.flushall();
    expect(await read()).toEqual(posted);
    expect(await direct.exists(name())).toBe(1);
  });

  test('are read correctly while Redis is frozen or down, and cached again after recovery', async () => {
    process.kill(redis.pid, 'SIGSTOP');
    for (let i = 0; i < 10; i++) expect(await read()).toEqual(posted);
    process.kill(redis.pid, 'SIGCONT');
    await redis.kill();
    for (let i = 0; i < 10; i++) expect(await read()).toEqual(posted);
    redis = await startTestRedis({ port: redis.port });
    await until(async () => {
      expect(await read()).toEqual(posted);
      return (await direct.exists(name()).catch(() => 0)) === 1;
    });
  });
});
