import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { isRedisHere, startTestRedis, type TestRedis } from '../support/redis.ts';
import { isToxiproxyHere, startToxiproxy, type ToxicProxy, type Toxiproxy } from '../support/toxiproxy.ts';
import {
  inFlightOf,
  type LeaseCluster,
  measure,
  startLeaseCluster,
  stopLeaseClusters,
  untilWorkers,
} from './lease-cluster.ts';

const CAP = 100;
const WORKERS = 4;
const FLOOR = CAP / WORKERS;
const MORE_THAN_CAP = 3 * CAP;

describe.if(isRedisHere() && isToxiproxyHere())('while workers are lost, paused or cut off', () => {
  let redis: TestRedis;
  let toxiproxy: Toxiproxy;
  let proxies: ToxicProxy[];

  beforeEach(async () => {
    redis = await startTestRedis();
    toxiproxy = await startToxiproxy();
    proxies = await Promise.all(Array.from({ length: WORKERS }, () => toxiproxy.proxy(redis.url)));
  });

  afterEach(async () => {
    await stopLeaseClusters();
    await toxiproxy.stop();
    await redis.stop();
  });

  /** Starts a cluster whose first worker has nearly the whole cap in flight, as no other has demand. */
  async function startSkewed(): Promise<LeaseCluster> {
    const cluster = await startLeaseCluster({ urls: proxies.map(({ url }) => url), cap: CAP });
    cluster.workers[0]!.want(MORE_THAN_CAP, 100);
    await untilWorkers(() => cluster.workers[0]!.inFlight >= 0.95 * CAP);
    return cluster;
  }

  /** Expects that nothing exceeds the cap while permits move. */
  async function expectWithinCapFromNowOn({ workers, board }: LeaseCluster): Promise<void> {
    board.forgetPeaks();
    for (let turn = 0; turn < 3; turn++) {
      const busy = workers[turn]!;
      for (const worker of workers) worker.want(worker === busy ? MORE_THAN_CAP : 2);
      await untilWorkers(() => busy.inFlight >= 0.8 * CAP);
    }
    expect(board.totalPeak).toBeLessThanOrEqual(CAP);
  }

  test('the permits of a worker killed with 50 requests in flight return to the others', async () => {
    const cluster = await startLeaseCluster({ urls: proxies.map(({ url }) => url), cap: CAP });
    const [victim, ...others] = cluster.workers;
    victim!.want(50, 60_000);
    await untilWorkers(() => victim!.inFlight === 50);
    for (const worker of others) worker.want(MORE_THAN_CAP);
    await untilWorkers(() => inFlightOf(others) >= 45);
    expect(cluster.board.totalPeak).toBeLessThanOrEqual(CAP);

    expect(await victim!.kill()).toBe(50);
    await measure(
      'the permits of a killed worker are used by others',
      () => inFlightOf(others) >= 0.95 * CAP,
    );
    expect(cluster.board.totalPeak).toBeLessThanOrEqual(CAP);
  });

  test('a reported death returns permits immediately, and raises the floor of all others', async () => {
    const cluster = await startSkewed();
    const [victim, reporter, ...others] = cluster.workers;
    for (const worker of [reporter!, ...others]) worker.want(MORE_THAN_CAP);
    await victim!.kill();
    reporter!.reportDeathOf(victim!);
    await measure('the permits of a worker whose death is reported are used', () => {
      return inFlightOf([reporter!, ...others]) >= 0.95 * CAP;
    });
    await untilWorkers(() =>
      [reporter!, ...others].every(({ knownWorkers }) => knownWorkers === WORKERS - 1),
    );
    await redis.kill();
    const floor = Math.floor(CAP / (WORKERS - 1));
    await untilWorkers(() =>
      [reporter!, ...others].every(({ mode, inFlight }) => mode === 'floor' && inFlight === floor),
    );
    expect(cluster.board.totalPeak).toBeLessThanOrEqual(CAP);
  });

  test('an unreported death leaves the floor of the others unchanged', async () => {
    const cluster = await startSkewed();
    const [victim, ...others] = cluster.workers;
    for (const worker of others) worker.want(MORE_THAN_CAP);
    await victim!.kill();
    await untilWorkers(() => inFlightOf(others) >= 0.95 * CAP);
    await redis.kill();
    await untilWorkers(() => others.every(({ mode, inFlight }) => mode === 'floor' && inFlight === FLOOR));
    cluster.board.forgetPeaks();
    const before = others.map(({ admitted }) => admitted);
    await untilWorkers(() => others.every(({ admitted }, i) => admitted > before[i]! + 2 * FLOOR));
    expect(cluster.board.totalPeak).toBeLessThanOrEqual(FLOOR * others.length);
  });

  test('the permits of all killed workers return to the only survivor', async () => {
    const cluster = await startSkewed();
    const [survivor, ...victims] = [cluster.workers[1]!, cluster.workers[0]!, ...cluster.workers.slice(2)];
    survivor.want(MORE_THAN_CAP);
    await Promise.all(victims.map((victim) => victim.kill()));
    await measure('the permits of three killed workers are used', () => survivor.inFlight >= 0.95 * CAP);
    expect(cluster.board.totalPeak).toBeLessThanOrEqual(CAP);
  });

  test('a paused worker admits nothing on its old lease when it continues', async () => {
    const cluster = await startSkewed();
    const [paused, ...others] = cluster.workers;
    const { board } = cluster;
    paused!.pause();
    for (const worker of others) worker.want(MORE_THAN_CAP);
    await measure(
      'the permits of a paused worker are used by others',
      () => inFlightOf(others) >= 0.95 * CAP,
    );
    const frozen = paused!.inFlight;
    expect(frozen).toBeGreaterThanOrEqual(0.9 * CAP);
    // Only requests in flight at the expiry of its lease may exceed the cap (I3).
    expect(board.totalPeak).toBeLessThanOrEqual(CAP + frozen);

    board.forgetPeaks();
    paused!.resume();
    // It ends old requests before it admits more, so its peak shows which lease it believes in.
    await untilWorkers(() => paused!.inFlight < frozen);
    expect(paused!.inFlightPeak).toBeLessThanOrEqual(FLOOR);
    board.forgetPeaks();
    await measure('all fit the cap again', () => paused!.mode === 'fresh' && cluster.held <= CAP);
    expect(paused!.inFlightPeak).toBeLessThanOrEqual(FLOOR + 1);
    expect(board.totalPeak).toBeLessThanOrEqual(CAP + FLOOR);
    await expectWithinCapFromNowOn(cluster);
  });

  test('a worker that is cut off stays at its floor, and the others use the cap', async () => {
    const cluster = await startSkewed();
    const { board } = cluster;
    const [lost, ...others] = cluster.workers;
    await proxies[0]!.add({ type: 'timeout', timeoutMs: 0 }, 'upstream');
    await proxies[0]!.add({ type: 'timeout', timeoutMs: 0 }, 'downstream');
    for (const worker of others) worker.want(MORE_THAN_CAP);
    await measure(
      'the permits of a worker that is cut off are used by others',
      () => inFlightOf(others) >= 0.95 * CAP,
    );
    expect(board.totalPeak).toBeLessThanOrEqual(CAP + CAP);

    // Its own lease expires first: once others have its permits, it admits nothing above its floor.
    board.forgetPeaks();
    await untilWorkers(() => lost!.mode === 'floor' && lost!.inFlight <= FLOOR);
    expect(lost!.inFlightPeak).toBeLessThanOrEqual(FLOOR);
    board.forgetPeaks();
    const admittedBefore = lost!.admitted;
    // Its callers are always served, at the rate of the floor.
    await untilWorkers(() => lost!.admitted > admittedBefore + 4 * FLOOR);
    expect(lost!.inFlightPeak).toBeLessThanOrEqual(FLOOR);
    expect(board.totalPeak).toBeLessThanOrEqual(CAP + FLOOR);

    await proxies[0]!.heal();
    await measure('it has a lease again', () => lost!.mode === 'fresh');
    await measure('and all together fit the cap again', () => cluster.held <= CAP && board.total <= CAP);
    await expectWithinCapFromNowOn(cluster);
  });

  test('a flapping worker never adds more than its floor', async () => {
    const cluster = await startLeaseCluster({ urls: proxies.map(({ url }) => url), cap: CAP });
    for (const worker of cluster.workers) worker.want(MORE_THAN_CAP, 50);
    await untilWorkers(() => cluster.board.total >= 0.95 * CAP);
    cluster.board.forgetPeaks();
    for (let turn = 0; turn < 4; turn++) {
      await proxies[0]!.disable();
      await untilWorkers(() => cluster.workers[0]!.mode === 'floor');
      await proxies[0]!.enable();
      await untilWorkers(() => cluster.workers[0]!.mode === 'fresh');
    }
    // It had an equal share, and its floor is the same, so it can exceed the cap by no more.
    expect(cluster.board.totalPeak).toBeLessThanOrEqual(CAP + FLOOR + 1);
    await untilWorkers(() => cluster.held <= CAP && cluster.board.total <= CAP);
    await expectWithinCapFromNowOn(cluster);
  });
});
