import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { openRedis } from '../../src/adapters/redis/redis.ts';
import { RedisLeaseStore } from '../../src/adapters/redis/redis-lease-store.ts';
import { encodeRenewal } from '../../src/shedding/lease-protocol.ts';
import { LEASE_ACCOUNT_SCRIPT } from '../../src/shedding/lease-script.ts';
import { freshDatabase } from '../support/database.ts';
import { isRedisHere, startTestRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { type AtlasProcess, makeFolder, removeFolder, startAtlas } from './atlas-process.ts';
import type { KeptConnection } from './kept-connection.ts';
import { connectToWorkers, mostInASecond, offer } from './quota-load.ts';

const TIMEOUT_MS = 120_000;
const WORKERS = 4;
const RATE = 100;
const OFFERED = 300;
const SECONDS = 6;
// Longer than the account hears of a worker that is silent.
const FORGOTTEN_AFTER_MS = 11_500;

describe.if(isRedisHere())('a quota of 100 requests a second on one key, over four workers', () => {
  let folder: string;
  let redis: TestRedis | null;
  let atlas: AtlasProcess | undefined;
  let connections: KeptConnection[];
  let request: string;

  beforeEach(async () => {
    atlas = undefined;
    connections = [];
    folder = await makeFolder();
    redis = await startTestRedis();
  }, TIMEOUT_MS);

  afterEach(async () => {
    for (const connection of connections) connection.end();
    await atlas?.end('SIGKILL');
    await removeFolder(folder);
    await redis?.stop();
  }, TIMEOUT_MS);

  async function start(): Promise<void> {
    const settings = {
      DATABASE_URL: await freshDatabase(),
      API_WORKERS: `${WORKERS}`,
      REDIS_URL: redis!.url,
      QUOTA_KEY_REQUESTS_PER_SECOND: `${RATE}`,
    };
    atlas = await startAtlas(folder, settings);
    const head = (path: string, lines: string) => `GET ${path} HTTP/1.1\r\nHost: atlas.test\r\n${lines}\r\n`;
    // Without a key, so that no quota is used.
    connections = await connectToWorkers(atlas.url, WORKERS, head('/health/live', ''));
    request = head('/v1/ping', `Authorization: Bearer ${atlas.key}\r\n`);
  }

  /** Renews a lease for each worker of another host, which then is lost: nobody reports that its workers are dead. */
  async function loseHost(workers: number): Promise<void> {
    const connection = openRedis({ url: redis!.url, timeoutMs: 5000 });
    const store = new RedisLeaseStore({ redis: connection, script: LEASE_ACCOUNT_SCRIPT, prefix: 'atlas' });
    await new Promise<void>((resolve) => store.onReady(resolve));
    const none = { claim: 0, wanted: 0, inFlight: 0, cutoff: 0, arrivals: 0, standing: 0 } as const;
    for (let i = 0; i < workers; i++)
      await store.call(
        encodeRenewal({ ...none, workerId: `lost${i}`, seq: 1, cap: 1000, workers: 0, epoch: 0, version: 0 }),
      );
    store.close();
  }

  async function measure(what: string, used: readonly KeptConnection[]) {
    const { servedMs, refused, offered, failures } = await offer(used, request, OFFERED, SECONDS);
    // The first second may use what a quota holds when it was not used.
    const later = servedMs.filter((ms) => ms >= 1000).length / (SECONDS - 1);
    const most = mostInASecond(servedMs, 1000);
    console.log(
      `${what}: offered ${(offered / SECONDS).toFixed(0)}/s, served ${later.toFixed(1)}/s after the first second, at most ${most} in a second, ${servedMs.filter((ms) => ms < 1000).length} in the first`,
    );
    expect(failures).toEqual([]);
    expect(servedMs.length + refused).toBe(offered);
    return { later, most };
  }

  test.each([
    ['even on all workers', WORKERS],
    ['all on one worker', 1],
  ])(
    'offered 300 a second, %s: 100 are served',
    async (what, workers) => {
      await start();
      const { later, most } = await measure(`with Redis, ${what}`, connections.slice(0, workers));
      expect(later).toBeGreaterThan(0.8 * RATE);
      expect(most).toBeLessThan(1.2 * RATE);
    },
    TIMEOUT_MS,
  );

  test(
    'without Redis, each worker serves its share',
    async () => {
      await start();
      await offer(connections, request, OFFERED, 1);
      await redis!.stop();
      redis = null;
      const even = await measure('Redis is down, even on all workers', connections);
      expect(even.later).toBeGreaterThan(0.5 * RATE);
      expect(even.most).toBeLessThan(1.2 * RATE);
      const one = await measure('Redis is down, all on one worker', connections.slice(0, 1));
      expect(one.later).toBeGreaterThan(0.15 * RATE);
      expect(one.most).toBeLessThan(0.4 * RATE);
    },
    TIMEOUT_MS,
  );

  test(
    'without Redis, workers of a host that was lost before have no share',
    async () => {
      await loseHost(3 * WORKERS);
      const lostMs = performance.now();
      await start();
      await until(() => performance.now() > lostMs + FORGOTTEN_AFTER_MS, { deadlineMs: 60_000 });
      // Workers read the key again every 5 s at most, and count themselves then.
      await offer(connections, request, OFFERED, SECONDS);
      await redis!.stop();
      redis = null;
      const { later } = await measure('Redis is down after a host was lost', connections);
      expect(later).toBeGreaterThan(0.5 * RATE);
    },
    TIMEOUT_MS,
  );
});
