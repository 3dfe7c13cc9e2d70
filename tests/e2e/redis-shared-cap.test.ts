import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { Redis } from 'ioredis';
import { isRedisHere, startTestRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import {
  inFlightOf,
  type LeaseCluster,
  meanOf,
  measure,
  startLeaseCluster,
  stopLeaseClusters,
  untilWorkers,
} from './lease-cluster.ts';

const CAP = 100;
const MORE_THAN_CAP = 3 * CAP;
const COMMANDS_OBSERVED = 40;

describe.if(isRedisHere())('workers on one Redis', () => {
  let redis: TestRedis;

  beforeEach(async () => {
    redis = await startTestRedis();
  });

  afterEach(async () => {
    await stopLeaseClusters();
    await redis.stop();
  });

  const start = (workers: number, prefix?: string, workersOfHost?: number): Promise<LeaseCluster> =>
    startLeaseCluster({
      urls: Array<string>(workers).fill(redis.url),
      cap: CAP,
      ...(prefix !== undefined && { prefix }),
      ...(workersOfHost !== undefined && { workersOfHost }),
    });

  test('share the cap, and all of it is used', async () => {
    const { workers, board } = await start(4);
    for (const worker of workers) worker.want(MORE_THAN_CAP / 4);
    await untilWorkers(() => board.total >= 0.95 * CAP);
    const used = await meanOf(() => board.total, 1500);
    console.log(`even demand uses ${((100 * used) / CAP).toFixed(1)} % of the cap`);
    expect(used).toBeGreaterThanOrEqual(0.95 * CAP);
    expect(board.totalPeak).toBeLessThanOrEqual(CAP);
    // Fair: everybody gets at least half of an equal share.
    for (const { admitted } of workers) expect(admitted).toBeGreaterThan(0);
    for (const { limit } of workers) expect(limit).toBeGreaterThanOrEqual(CAP / 8);
  });

  test('let one worker with all the demand use 95 % of the cap', async () => {
    const { workers, board } = await start(4);
    const [busy, ...idle] = workers;
    busy!.want(MORE_THAN_CAP);
    await measure(
      'permits of three idle workers have moved to a busy one',
      () => busy!.inFlight >= 0.95 * CAP,
    );
    const used = await meanOf(() => busy!.inFlight, 1500);
    console.log(`demand on one worker alone uses ${((100 * used) / CAP).toFixed(1)} % of the cap`);
    expect(used).toBeGreaterThanOrEqual(0.95 * CAP);
    expect(inFlightOf(idle)).toBe(0);
    expect(board.totalPeak).toBeLessThanOrEqual(CAP);
  });

  test('follow moving demand and never exceed the cap', async () => {
    const { workers, board } = await start(4);
    for (let turn = 0; turn < 8; turn++) {
      const busy = workers[turn % workers.length]!;
      for (const worker of workers) worker.want(worker === busy ? MORE_THAN_CAP : turn);
      await untilWorkers(() => busy.inFlight >= 0.7 * CAP);
    }
    expect(board.totalPeak).toBeLessThanOrEqual(CAP);
  });

  test('share the cap across hosts that know only their own workers', async () => {
    const { workers, board } = await start(4, 'test', 2);
    const [hostA, hostB] = [workers.slice(0, 2), workers.slice(2)];
    for (const worker of workers) worker.want(MORE_THAN_CAP);
    await untilWorkers(() => board.total >= 0.95 * CAP && inFlightOf(hostA) > 0 && inFlightOf(hostB) > 0);
    for (const worker of hostB) worker.want(0);
    await measure('permits have moved to the other host', () => inFlightOf(hostA) >= 0.95 * CAP);
    expect(board.totalPeak).toBeLessThanOrEqual(CAP);
  });

  test('have a cap for each prefix', async () => {
    const [blue, green] = await Promise.all([start(2, 'blue'), start(2, 'green')]);
    for (const worker of [...blue.workers, ...green.workers]) worker.want(MORE_THAN_CAP);
    await untilWorkers(() => blue.board.total >= 0.95 * CAP && green.board.total >= 0.95 * CAP);
    expect(blue.board.totalPeak).toBeLessThanOrEqual(CAP);
    expect(green.board.totalPeak).toBeLessThanOrEqual(CAP);
  });

  test('return their permits to the others on a graceful stop', async () => {
    const { workers, board } = await start(3);
    const [leaving, ...staying] = workers;
    leaving!.want(MORE_THAN_CAP);
    await untilWorkers(() => leaving!.inFlight >= 0.9 * CAP);
    for (const worker of staying) worker.want(MORE_THAN_CAP);
    await leaving!.stop();
    await measure('permits of a worker that left are used', () => inFlightOf(staying) >= 0.95 * CAP);
    expect(board.totalPeak).toBeLessThanOrEqual(CAP);
  });

  test.each([
    ['no request', 0, 100],
    ['few requests', 2, 100],
    ['more than they can serve', MORE_THAN_CAP, 20],
  ])('send at most 20 commands a second each with %s', async (_load, callers, holdMs) => {
    const { workers } = await start(4);
    for (const worker of workers) worker.want(callers, holdMs);
    const client = new Redis(redis.url);
    await untilWorkers(() => workers.every(({ mode }) => mode === 'fresh'));
    let own = 0;
    // Redis counts an INFO after its reply, so only earlier ones are included.
    const sent = async () => sentCommands(await client.info('commandstats')) - own++;
    const before = await sent();
    const startMs = performance.now();
    const after = await until(
      async () => {
        const now = await sent();
        return now >= before + COMMANDS_OBSERVED * workers.length && now;
      },
      { pollMs: 50 },
    );
    const elapsedSeconds = (performance.now() - startMs) / 1000;
    client.disconnect();
    const perWorker = (after - before) / workers.length;
    console.log(`${(perWorker / elapsedSeconds).toFixed(1)} commands per second per worker`);
    // A worker that renews right at the start has sent one command more than fits the period.
    expect(perWorker).toBeLessThanOrEqual(20 * elapsedSeconds + 1);
  });
});

/** Returns the commands that clients sent. Redis also counts those that scripts run. */
function sentCommands(commandStats: string): number {
  const inScript = ['hgetall', 'hget', 'hset', 'hdel', 'hlen', 'pexpire', 'expire', 'time', 'del'];
  const calls = [...commandStats.matchAll(/^cmdstat_([\w|]+):calls=(\d+)/gm)];
  return calls.reduce((sum, [, name, count]) => sum + (inScript.includes(name!) ? 0 : Number(count)), 0);
}
