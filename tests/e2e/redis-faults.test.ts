import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { Redis } from 'ioredis';
import { isRedisHere, startTestRedis, type TestRedis } from '../support/redis.ts';
import { isToxiproxyHere, startToxiproxy, type ToxicProxy, type Toxiproxy } from '../support/toxiproxy.ts';
import {
  type LeaseCluster,
  measure,
  RISE_AFTER_MS,
  startLeaseCluster,
  stopLeaseClusters,
  untilWorkers,
} from './lease-cluster.ts';

const CAP = 100;
const WORKERS = 4;
const FLOOR = CAP / WORKERS;
const MORE_THAN_CAP = 3 * CAP;

// All workers reach the same Redis or none does, so the cap holds without allowance: I1 and I2 of the design.
describe.if(isRedisHere() && isToxiproxyHere())('whatever happens to Redis', () => {
  let redis: TestRedis;
  let toxiproxy: Toxiproxy;
  let proxy: ToxicProxy;
  let cluster: LeaseCluster;

  beforeEach(async () => {
    redis = await startTestRedis();
    toxiproxy = await startToxiproxy();
    proxy = await toxiproxy.proxy(redis.url);
    cluster = await startLeaseCluster({ urls: Array<string>(WORKERS).fill(proxy.url), cap: CAP });
  });

  afterEach(async () => {
    await stopLeaseClusters();
    await toxiproxy.stop();
    await redis.stop();
  });

  /** Moves all demand to one worker. */
  function skewTo(slot: number): void {
    for (const worker of cluster.workers) worker.want(worker.slot === slot ? MORE_THAN_CAP : 0);
  }

  function wantEverywhere(): void {
    for (const worker of cluster.workers) worker.want(MORE_THAN_CAP);
  }

  /** Expects that every worker serves callers. */
  async function expectServedEverywhere(): Promise<void> {
    const before = cluster.workers.map(({ admitted }) => admitted);
    await untilWorkers(() => cluster.workers.every(({ slot, admitted }) => admitted > before[slot]!));
  }

  /** Starts an empty Redis on the same port, and waits until the workers have created an account in it. */
  async function startAgain(): Promise<void> {
    redis = await startTestRedis({ port: redis.port });
    await withRedis((direct) => untilWorkers(async () => (await direct.dbsize()) > 0));
  }

  /** Talks to Redis without the proxy. */
  async function withRedis(speak: (direct: Redis) => Promise<void>): Promise<void> {
    const direct = new Redis(redis.url);
    try {
      await speak(direct);
    } finally {
      direct.disconnect();
    }
  }

  async function expectRecovered(what: string): Promise<void> {
    wantEverywhere();
    await measure(`every worker has a lease after ${what}`, () =>
      cluster.workers.every(({ mode }) => mode === 'fresh'),
    );
    await measure('and the whole cap is used', () => cluster.board.total >= 0.95 * CAP);
    skewTo(3);
    await untilWorkers(() => cluster.workers[3]!.inFlight >= 0.95 * CAP);
    expect(cluster.board.totalPeak).toBeLessThanOrEqual(CAP);
  }

  const areAll = (mode: string) => () => cluster.workers.every((worker) => worker.mode === mode);

  test('killed and restarted empty: floors in between, and never more than the cap', async () => {
    skewTo(0);
    await untilWorkers(() => cluster.workers[0]!.inFlight >= 0.95 * CAP);
    await redis.kill();
    // The worst moment for new demand: the first worker still has nearly the whole cap in flight.
    wantEverywhere();
    await measure('all are on their floor after Redis was killed', areAll('floor'));
    await expectServedEverywhere();
    await untilWorkers(() => cluster.workers.every(({ inFlight }) => inFlight === FLOOR));
    expect(cluster.board.totalPeak).toBeLessThanOrEqual(CAP);

    await startAgain();
    await expectRecovered('Redis came back empty');
  });

  test('restarted quickly: leases survive', async () => {
    skewTo(0);
    await untilWorkers(() => cluster.workers[0]!.inFlight >= 0.95 * CAP);
    await redis.stop();
    await startAgain();
    await expectRecovered('Redis was restarted quickly');
  });

  test('killed repeatedly while the demand moves', async () => {
    for (let turn = 0; turn < 4; turn++) {
      skewTo(turn);
      await untilWorkers(() => cluster.workers[turn]!.inFlight >= 0.5 * CAP);
      await redis.kill();
      await startAgain();
    }
    await expectRecovered('Redis was killed four times');
  });

  test('flushed while permits move', async () => {
    await withRedis(async (direct) => {
      for (let turn = 0; turn < 4; turn++) {
        skewTo(turn);
        await direct.flushall();
        await untilWorkers(() => cluster.workers[turn]!.inFlight >= 0.9 * CAP);
        await direct.flushall();
      }
    });
    await expectRecovered('FLUSHALL');
  });

  test('its scripts flushed: they are loaded again, and everybody is served', async () => {
    skewTo(0);
    await untilWorkers(() => cluster.workers[0]!.inFlight >= 0.95 * CAP);
    await withRedis(async (direct) => {
      await direct.script('FLUSH', 'SYNC');
      await untilWorkers(async () => /^number_of_cached_scripts:1\r?$/m.test(await direct.info('memory')));
    });
    wantEverywhere();
    await expectServedEverywhere();
    await expectRecovered('SCRIPT FLUSH');
  });

  test('frozen, and then executing everything it received meanwhile', async () => {
    skewTo(0);
    await untilWorkers(() => cluster.workers[0]!.inFlight >= 0.95 * CAP);
    process.kill(redis.pid, 'SIGSTOP');
    wantEverywhere();
    await measure('all are on their floor while Redis is frozen', areAll('floor'));
    await expectServedEverywhere();
    process.kill(redis.pid, 'SIGCONT');
    await expectRecovered('Redis continued');
  });

  test('slow by two seconds: no request waits for it, and late grants are not used', async () => {
    skewTo(0);
    await untilWorkers(() => cluster.workers[0]!.inFlight >= 0.95 * CAP);
    await proxy.add({ type: 'latency', latencyMs: 2000 }, 'upstream');
    await proxy.add({ type: 'latency', latencyMs: 2000 }, 'downstream');
    wantEverywhere();
    await measure('all are on their floor while Redis is slow', areAll('floor'));
    await expectServedEverywhere();
    // Long enough for delayed renewals to arrive, floors to rise, and late replies to come back.
    await untilWorkers(() => cluster.workers.every(({ inFlight }) => inFlight === FLOOR));
    await Bun.sleep(RISE_AFTER_MS);
    expect(cluster.board.totalPeak).toBeLessThanOrEqual(CAP);
    await proxy.heal();
    await expectRecovered('Redis was slow');
  });

  test('its connections cut repeatedly', async () => {
    wantEverywhere();
    for (let turn = 0; turn < 5; turn++) {
      await proxy.disable();
      skewTo(turn % WORKERS);
      await proxy.enable();
      await untilWorkers(areAll('fresh'));
    }
    await expectRecovered('its connections were cut');
  });

  test('its replies lost while it receives every renewal', async () => {
    skewTo(0);
    await untilWorkers(() => cluster.workers[0]!.inFlight >= 0.95 * CAP);
    await proxy.add({ type: 'timeout', timeoutMs: 0 }, 'downstream');
    skewTo(1);
    await untilWorkers(areAll('floor'));
    await proxy.heal();
    await expectRecovered('its replies were lost');
  });
});
