import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { Redis } from 'ioredis';
import { freshDatabase } from '../support/database.ts';
import { isRedisHere, startTestRedis, type TestRedis } from '../support/redis.ts';
import { lockTable, type TableLock } from '../support/table-lock.ts';
import { isToxiproxyHere, startToxiproxy, type ToxicProxy, type Toxiproxy } from '../support/toxiproxy.ts';
import { until } from '../support/until.ts';
import { type AtlasProcess, makeFolder, removeFolder, startAtlas } from './atlas-process.ts';
import { startLoad } from './load.ts';

const TIMEOUT_MS = 120_000;
const CAP = 20;

describe.if(isRedisHere() && isToxiproxyHere())('atlas serve on a Redis', () => {
  let redis: TestRedis;
  let toxiproxy: Toxiproxy;
  let proxy: ToxicProxy;
  let databaseUrl: string;
  let folders: string[];
  let hosts: AtlasProcess[];
  let lock: TableLock | null;

  beforeEach(async () => {
    redis = await startTestRedis();
    toxiproxy = await startToxiproxy();
    proxy = await toxiproxy.proxy(redis.url);
    databaseUrl = await freshDatabase();
    [folders, hosts, lock] = [[], [], null];
  }, TIMEOUT_MS);

  afterEach(async () => {
    await lock?.release();
    for (const host of hosts) await host.end('SIGKILL');
    for (const folder of folders) await removeFolder(folder);
    await toxiproxy.stop();
    await redis.stop();
  }, TIMEOUT_MS);

  /** Starts two workers that share the cap on this Redis, and whose requests may wait for the whole test. */
  async function startHost(): Promise<AtlasProcess> {
    const folder = await makeFolder();
    folders.push(folder);
    const host = await startAtlas(folder, {
      ENVIRONMENT: 'staging',
      API_WORKERS: '2',
      DATABASE_URL: databaseUrl,
      DATABASE_POOL_SIZE: `${3 * CAP}`,
      DATABASE_TIMEOUT: '60',
      HTTP_TIMEOUT: '60',
      REDIS_URL: proxy.url,
      LOAD_SHEDDING_MAX_CONCURRENT: `${CAP}`,
    });
    hosts.push(host);
    await untilMode('fresh');
    return host;
  }

  async function untilMode(mode: string): Promise<void> {
    await until(async () => {
      const slots = (await Promise.all(hosts.map((host) => host.status()))).flatMap((status) => status.slots);
      return slots.every(({ worker }) => worker?.mode === mode);
    });
  }

  /** Sends requests that, once admitted, stay in flight until the lock is released. Returns their statuses. */
  function hold(host: AtlasProcess, key: string, count: number): Promise<number>[] {
    return Array.from({ length: count }, async () => {
      const headers = { Authorization: `Bearer ${key}` };
      return (await fetch(`${host.url}/v1/accounts`, { headers, keepalive: false })).status;
    });
  }

  /** Waits until all requests are refused except those in flight, which are at most the cap. */
  async function expectOthersRefused(held: Promise<number>[]): Promise<void> {
    let refused = 0;
    for (const status of held) void status.then((code) => (refused += Number(code === 429)));
    await until(() => refused >= held.length - CAP);
  }

  test(
    'serves everybody while Redis is killed, slow, flushed and unreachable',
    async () => {
      const host = await startHost();
      const headers = { Authorization: `Bearer ${host.key}` };
      const load = startLoad(host.url, { callers: 4, keepAlive: true, headers, pauseMs: 10 });
      const served = async (count = 50) => {
        const before = load.succeeded();
        await until(() => load.succeeded() >= before + count);
        expect((await fetch(`${host.url}/health/ready`)).status).toBe(200);
      };
      await served();

      await redis.kill();
      await untilMode('floor');
      await served();
      redis = await startTestRedis({ port: redis.port });
      await untilMode('fresh');

      await proxy.add({ type: 'latency', latencyMs: 2000 });
      await untilMode('floor');
      await served();
      await proxy.heal();
      await untilMode('fresh');

      const direct = new Redis(redis.url);
      await direct.flushall();
      await direct.script('FLUSH', 'SYNC');
      direct.disconnect();
      await served();
      await untilMode('fresh');

      await proxy.disable();
      await untilMode('floor');
      await served();
      await proxy.enable();
      await untilMode('fresh');

      const { succeeded, failed } = await load.stop();
      expect(failed).toEqual([]);
      console.log(`${succeeded} requests were served over four faults of Redis, none failed`);
    },
    TIMEOUT_MS,
  );

  test(
    'admits no more than the cap on two hosts together, even when Redis fails',
    async () => {
      const [first, second] = [await startHost(), await startHost()];
      const key = first.key!;
      lock = await lockTable(databaseUrl, 'accounts');
      const held = [...hold(first, key, 2 * CAP), ...hold(second, key, 2 * CAP)];
      await expectOthersRefused(held);
      await redis.kill();
      await untilMode('floor');
      held.push(...hold(first, key, CAP), ...hold(second, key, CAP));
      await expectOthersRefused(held);

      await lock.release();
      lock = null;
      const statuses = await Promise.all(held);
      // Nothing ended while the table was locked, so all served requests were in flight together.
      const admitted = statuses.filter((status) => status === 200).length;
      console.log(`${admitted} of ${statuses.length} requests were in flight together under a cap of ${CAP}`);
      expect(admitted).toBeLessThanOrEqual(CAP);
      expect(admitted).toBeGreaterThanOrEqual(CAP / 2);
      expect(statuses.filter((status) => status !== 200 && status !== 429)).toEqual([]);
    },
    TIMEOUT_MS,
  );
});
