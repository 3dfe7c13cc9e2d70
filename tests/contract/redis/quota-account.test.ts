import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openRedis, type Redis } from '../../../src/adapters/redis/redis.ts';
import { RedisScript } from '../../../src/adapters/redis/redis-script.ts';
import type { Quota } from '../../../src/features/identity/quota.ts';
import {
  decodeGrants,
  encodeReports,
  REPORT_MS,
  REPORT_MS_MAX,
} from '../../../src/features/identity/quotas/protocol.ts';
import { QUOTA_ACCOUNT_SCRIPT } from '../../../src/features/identity/quotas/quota-script.ts';
import { Random } from '../../simulation/random.ts';
import { isRedisHere, startTestRedis, type TestRedis } from '../../support/redis.ts';
import { QuotaCluster } from './quota-cluster.ts';

const WORKERS = 4;
const RATE = 100;
const OFFERED_PER_SECOND = 300;
const SECONDS = 6;
const START_MS = 1_790_000_000_000;
const RUNS = 20;
const STEPS = 200;

// What workers run that were started before the present script, during an upgrade.
const SCRIPT_BEFORE = readFileSync(join(import.meta.dir, 'quota-account-before.lua'), 'utf8');

const rateOf = (requestsPerSecond: number, burst = 0): Quota => ({
  requestsPerSecond,
  burst,
  concurrentRequests: null,
});
const slotsOf = (concurrentRequests: number): Quota => ({
  requestsPerSecond: null,
  burst: 0,
  concurrentRequests,
});

describe.if(isRedisHere())('quotas with their accounts in Redis', () => {
  let server: TestRedis;
  let redis: Redis;
  let script: RedisScript;
  let before: RedisScript;
  let subjects = 0;

  beforeAll(async () => {
    server = await startTestRedis();
    redis = openRedis({ url: server.url, timeoutMs: 5000 });
    await new Promise((resolve) => redis.once('ready', resolve));
    const common = { redis, prefix: 'contract', what: 'quotas' };
    script = new RedisScript({ ...common, script: QUOTA_ACCOUNT_SCRIPT });
    before = new RedisScript({ ...common, script: SCRIPT_BEFORE });
  });

  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });

  const clusterOf = (quota: Quota, { workers = WORKERS, scripts = [script], intervalMs = REPORT_MS } = {}) =>
    new QuotaCluster(scripts, `subject${++subjects}`, quota, workers, intervalMs);

  /** Offers requests at an even rate to the worker that `workerAt` names, by the number of the request and the time. */
  async function offer(
    cluster: QuotaCluster,
    seconds: number,
    workerAt: (nth: number, ms: number) => number,
  ) {
    const startMs = cluster.nowMs;
    let nth = 0;
    for (let ms = 0; ms < seconds * 1000; ms++) {
      for (; nth < (ms * OFFERED_PER_SECOND) / 1000; nth++) cluster.take(workerAt(nth, ms));
      await cluster.pass();
    }
    const later = cluster.servedMs.filter((at) => at >= startMs + 1000).length / (seconds - 1);
    return { later, most: cluster.mostInASecond(startMs + 1000) };
  }

  test.each([
    ['evenly to all workers', (nth: number) => nth % WORKERS],
    ['to one worker', () => 0],
    ['to another worker every 700 ms', (_: number, ms: number) => Math.floor(ms / 700) % WORKERS],
    ['mostly to one worker', (nth: number) => (nth % 10 === 0 ? 1 + ((nth / 10) % 3) : 0)],
  ])(
    'offered three times the quota %s, serve the quota and at most 5 more in a second',
    async (what, workerAt) => {
      const { later, most } = await offer(clusterOf(rateOf(RATE)), SECONDS, workerAt);
      console.log(`offered ${what}: served ${later.toFixed(1)}/s, at most ${most} in a second`);
      expect(later).toBeGreaterThanOrEqual(0.97 * RATE);
      expect(most).toBeLessThanOrEqual(1.05 * RATE);
    },
  );

  test('serve the quota while some workers run the script before', async () => {
    const scripts = [before, script];
    const { later, most } = await offer(
      clusterOf(rateOf(RATE), { scripts }),
      SECONDS,
      (nth) => nth % WORKERS,
    );
    expect(later).toBeGreaterThanOrEqual(0.97 * RATE);
    expect(most).toBeLessThanOrEqual(1.05 * RATE);
  });

  test.each([
    ['evenly to all workers', 2 * REPORT_MS, (nth: number) => nth % WORKERS],
    ['evenly to all workers', REPORT_MS_MAX, (nth: number) => nth % WORKERS],
    ['to one worker', REPORT_MS_MAX, () => 0],
  ])('serve the quota that is offered %s, even at intervals of %d ms', async (what, intervalMs, workerAt) => {
    const { later, most } = await offer(clusterOf(rateOf(RATE), { intervalMs }), SECONDS, workerAt);
    console.log(`${intervalMs} ms, ${what}: served ${later.toFixed(1)}/s, at most ${most} in a second`);
    expect(later).toBeGreaterThanOrEqual(0.95 * RATE);
    expect(most).toBeLessThanOrEqual(1.1 * RATE);
  });

  test('serve everything that is offered within the quota, on any worker', async () => {
    const cluster = clusterOf(rateOf(1.2 * OFFERED_PER_SECOND));
    await offer(cluster, SECONDS, (nth) => nth % WORKERS);
    const even = cluster.servedMs.length;
    expect(even).toBe(SECONDS * OFFERED_PER_SECOND);
    // The others still hold tokens when all requests move to one worker at once.
    await offer(cluster, SECONDS, () => 0);
    expect(cluster.servedMs.length - even).toBeGreaterThan(0.98 * SECONDS * OFFERED_PER_SECOND);
  });

  test('serve a burst after an idle time, and not twice', async () => {
    const cluster = clusterOf(rateOf(RATE, 200));
    await offer(cluster, 2, () => 0);
    expect(cluster.servedMs.length).toBeGreaterThan(2 * RATE + 150);
    expect(cluster.servedMs.length).toBeLessThanOrEqual(2 * RATE + 205);
    const before = cluster.servedMs.length;
    const { later } = await offer(cluster, 3, () => 1);
    expect(later).toBeLessThanOrEqual(1.05 * RATE);
    expect(cluster.servedMs.length - before).toBeLessThanOrEqual(3 * RATE + 5);
  });

  test('give the tokens of a worker that died to the others', async () => {
    const cluster = clusterOf(rateOf(RATE, 1000));
    await offer(cluster, 1, () => 0);
    cluster.replace(0, rateOf(RATE, 1000));
    const before = cluster.servedMs.length;
    await offer(cluster, 3, () => 1);
    expect(cluster.servedMs.length - before).toBeGreaterThan(0.99 * 3 * OFFERED_PER_SECOND);
  });

  test('bound concurrent requests over all workers, and give them to the workers that have some', async () => {
    const max = 40;
    const cluster = clusterOf(slotsOf(max));
    const inFlight: number[] = Array(WORKERS).fill(0);
    const total = () => inFlight.reduce((sum, count) => sum + count, 0);
    const fill = (worker: number) => {
      while (cluster.take(worker)) inFlight[worker]!++;
    };
    for (let ms = 0; ms < 500; ms++) {
      fill(0);
      await cluster.pass();
      expect(total()).toBeLessThanOrEqual(max);
    }
    expect(inFlight[0]).toBe(max);
    // The others get theirs as the first one ends some.
    for (let ms = 0; ms < 1500; ms++) {
      if (inFlight[0]! > 0 && ms % 20 === 0) {
        cluster.release(0);
        inFlight[0]!--;
      }
      for (const worker of [1, 2, 3]) fill(worker);
      await cluster.pass();
      // A worker that was idle starts with its share, before the account knows of it.
      expect(total()).toBeLessThanOrEqual(max + 3 * Math.floor(max / WORKERS));
    }
    expect(total()).toBeLessThanOrEqual(max);
    expect(total()).toBeGreaterThanOrEqual(max - WORKERS);
  });

  const granted = async (
    subject: string,
    report: Partial<Parameters<typeof encodeReports>[1][number]>,
    nowMs: number,
    id = 'w',
  ) => {
    const none = { rate: RATE, capacity: 5, kept: 0, returned: 0, owed: 0, wanted: 0 };
    const noSlots = { concurrentMax: 0, claimed: 0, wantedInFlight: 0 };
    const args = encodeReports(id, [{ ...none, ...noSlots, ...report }], nowMs);
    return decodeGrants(await script.run([subject], args))[0]!;
  };

  test('grant at most the rate and the capacity, whatever workers report', async () => {
    for (let seed = 1; seed <= RUNS; seed++) {
      const random = new Random(seed);
      const subject = `random${seed}`;
      let nowMs = START_MS;
      let sum = 0;
      const held = new Map<string, number>();
      for (let step = 0; step < STEPS; step++) {
        nowMs += random.pick([0, 1, 25, 25, 200, 3000]);
        const id = `w${random.whole(1, 5)}`;
        const has = held.get(id) ?? 0;
        const returned = random.whole(0, has);
        const kept = random.whole(0, has - returned);
        const wanted = random.pick([0, random.whole(0, 10), 1000]);
        const grant = await granted(subject, { kept, returned, wanted, capacity: 25 }, nowMs, id);
        expect(grant.granted).toBeLessThanOrEqual(wanted);
        held.set(id, kept + grant.granted);
        sum += grant.granted - returned;
        expect([seed, step, sum <= 25 + (RATE * (nowMs - START_MS)) / 1000]).toEqual([seed, step, true]);
      }
    }
  });

  test('start again if what is stored is corrupt or of another type', async () => {
    const key = 'atlas:{contract}:quotas:corrupt';
    for (const field of ['account', 'w2'])
      for (const text of ['', 'x', ':', '1', '1:', 'nan:1', '9e999:1', '-1:-1', '1:1:1:9e15', '1:1:1:1:1']) {
        await redis.del(key);
        await redis.hset(key, field, text);
        await granted('corrupt', { wanted: 3 }, START_MS);
        expect((await granted('corrupt', { wanted: 3 }, START_MS + 20_000)).granted).toBe(3);
      }
    await redis.del(key);
    await redis.set(key, 'text');
    expect((await granted('corrupt', { wanted: 3 }, START_MS)).granted).toBe(3);
  });

  test('go on when the clock of Redis is set back or forward', async () => {
    for (const [i, jumpMs] of [-3_600_000, 3_600_000].entries()) {
      expect((await granted(`clock${i}`, { wanted: 5 }, START_MS)).granted).toBe(5);
      await granted(`clock${i}`, {}, START_MS + jumpMs);
      expect((await granted(`clock${i}`, { wanted: 5 }, START_MS + jumpMs + 1000)).granted).toBe(5);
    }
  });

  test('delete what is no longer used', async () => {
    await script.run(
      ['ttl'],
      encodeReports('w', [
        {
          rate: 1,
          capacity: 5,
          kept: 0,
          returned: 0,
          owed: 0,
          wanted: 5,
          concurrentMax: 0,
          claimed: 0,
          wantedInFlight: 0,
        },
      ]),
    );
    const ttlMs = await redis.pttl('atlas:{contract}:quotas:ttl');
    expect(ttlMs).toBeGreaterThan(5000);
    expect(ttlMs).toBeLessThan(20_000);
  });

  test('are found again after the scripts of Redis were flushed', async () => {
    await redis.script('FLUSH');
    expect((await granted('flushed', { wanted: 2 }, START_MS)).granted).toBe(2);
  });
});
