import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { openRedis, type Redis } from '../../../src/adapters/redis/redis.ts';
import { RedisLeaseStore } from '../../../src/adapters/redis/redis-lease-store.ts';
import { LEASE_ACCOUNT_SCRIPT } from '../../../src/shedding/lease-script.ts';
import { SharedLeases } from '../../../src/shedding/shared-leases.ts';
import { isRedisHere, startTestRedis, type TestRedis } from '../../support/redis.ts';
import { until } from '../../support/until.ts';

const CAP = 100;
const COMMANDS_PER_SECOND_MAX = 20;

interface TestWorker {
  readonly leases: SharedLeases;
  readonly demand: { inFlight: number; wanted: number; cutoff: number; arrivals: number };
}

describe.if(isRedisHere())('workers that lease permits from a real Redis', () => {
  let server: TestRedis;
  let client: Redis;
  let workers: TestWorker[];

  beforeEach(async () => {
    server = await startTestRedis();
    client = openRedis({ url: server.url, timeoutMs: 500 });
    workers = [];
    await new Promise((resolve) => client.once('ready', resolve));
  });

  afterEach(async () => {
    await Promise.all(workers.map(({ leases }) => leases.close()));
    client.disconnect();
    await server.stop();
  });

  function startWorker(workerId: string, wanted = 0, prefix = 'test'): TestWorker {
    const redis = openRedis({ url: server.url, timeoutMs: 500 });
    const store = new RedisLeaseStore({ redis, script: LEASE_ACCOUNT_SCRIPT, prefix });
    const leases = new SharedLeases({ store, workerId, cap: CAP, fallbackWorkers: 4, riseAfterMs: 60_000 });
    const worker = { leases, demand: { inFlight: 0, wanted, cutoff: 0, arrivals: 0 } };
    leases.observe(() => worker.demand);
    workers.push(worker);
    return worker;
  }

  const limits = () => workers.map(({ leases }) => leases.limitAt(performance.now()));
  const modes = () => workers.map(({ leases }) => leases.stats().mode);
  const areFresh = () => modes().every((mode) => mode === 'fresh');
  test('lease the whole cap, most of it where the demand is, and never more', async () => {
    const [busy, modest] = [startWorker('busy', 300), startWorker('modest', 10), startWorker('idle')];
    await until(() => areFresh() && limits().join() === '90,10,0');
    // Demand moves to another worker, and the permits follow.
    busy.demand.wanted = 5;
    modest.demand.wanted = 300;
    await until(() => {
      const now = limits();
      expect(now.reduce((sum, limit) => sum + limit, 0)).toBeLessThanOrEqual(CAP);
      return now[1] === 95;
    });
  });

  test('share an account only if they have the same prefix', async () => {
    startWorker('here', 0, 'one');
    startWorker('there', 0, 'two');
    await until(areFresh);
    await until(() => limits().every((limit) => limit === CAP));
    expect(workers.map(({ leases }) => leases.stats().workers)).toEqual([1, 1]);
  });

  test('send at most 20 commands per second, however often they run short', async () => {
    const { leases } = startWorker('eager', 300);
    startWorker('rival', 300);
    await until(areFresh);
    const startMs = performance.now();
    const before = leases.stats().commands;
    await until(
      () => {
        leases.runShort();
        return leases.stats().commands >= before + 30;
      },
      { pollMs: 1 },
    );
    const seconds = (performance.now() - startMs) / 1000;
    expect(leases.stats().commands - before).toBeLessThanOrEqual(COMMANDS_PER_SECOND_MAX * seconds + 1);
  });

  test('do not mistake their own stalled event loop for a slow Redis', async () => {
    const { leases } = startWorker('stalled');
    await until(areFresh);
    // Data on this socket stalls the event loop, as a request handler would.
    const stall = Promise.withResolvers<void>();
    const echo = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: { data: (socket, data) => void socket.write(data) },
    });
    const socket = await Bun.connect({
      hostname: '127.0.0.1',
      port: echo.port,
      socket: {
        data: () => {
          for (const startMs = performance.now(); performance.now() < startMs + 250; );
          stall.resolve();
        },
      },
    });
    const { renewalFailures } = leases.stats();
    // Redis replies only during the stall, so the reply is read after its timeout has passed.
    await client.call('CLIENT', 'PAUSE', '150');
    const { renewals, commands } = leases.stats();
    await until(() => leases.stats().commands > commands, { pollMs: 0 });
    socket.write('stop');
    await stall.promise;
    await until(() => leases.stats().renewals > renewals + 1);
    socket.end();
    echo.stop(true);
    expect(leases.stats().renewalFailures).toBe(renewalFailures);
  });

  test('lose nothing if the scripts are flushed', async () => {
    startWorker('one', 10);
    startWorker('two', 10);
    await until(() => areFresh() && limits().join() === '50,50');
    const before = workers.map(({ leases }) => leases.stats());
    await client.script('FLUSH');
    await until(() => workers.every(({ leases }, i) => leases.stats().renewals > before[i]!.renewals + 2));
    // One renewal fails, and the next one sends the script, on the same connection.
    workers.forEach(({ leases }, i) => {
      expect(leases.stats().renewalFailures).toBeLessThanOrEqual(before[i]!.renewalFailures + 1);
    });
    expect(limits()).toEqual([50, 50]);
  });

  test('keep their leases and their number if the account is flushed', async () => {
    startWorker('one', 300);
    startWorker('two', 10);
    await until(() => areFresh() && limits().join() === '90,10');
    await client.flushall();
    await until(() => modes().every((mode) => mode === 'learning'));
    expect(limits()).toEqual([90, 10]);
    await until(() => areFresh() && limits().join() === '90,10');
    expect(workers.map(({ leases }) => leases.stats().workers)).toEqual([2, 2]);
  });

  test.each([
    ['a member that is not JSON', 'x', 'garbage'],
    ['a member that is JSON of another kind', 'x', '{"a":[1]}'],
    [
      'a lease without end of a worker that does not exist',
      'x',
      '[1,9000000000000000,100,100,0,100,0,0,9,2,1,0]',
    ],
    ['the record of a worker', 'one', 'garbage'],
    ['the account', 'account', 'garbage'],
    ['the account, in the right form', 'account', '[1,2,3]'],
  ])('keep their leases if this is corrupt: %s', async (_, field, text) => {
    startWorker('one', 300);
    startWorker('two', 10);
    await until(() => areFresh() && limits().join() === '90,10');
    const failures = () => workers.map(({ leases }) => leases.stats().renewalFailures);
    const before = failures();
    await client.hset('atlas:{test}:permits', field, text);
    await until(async () => (await client.hget('atlas:{test}:permits', field)) !== text);
    expect(limits().reduce((sum, limit) => sum + limit, 0)).toBeLessThanOrEqual(CAP);
    await until(() => areFresh() && limits().join() === '90,10');
    expect(modes()).not.toContain('floor');
    expect(failures()).toEqual(before);
    expect(workers.map(({ leases }) => leases.stats().workers)).toEqual([2, 2]);
  });

  test('drop to the floor if Redis falls silent, and recover with it', async () => {
    startWorker('one', 300);
    startWorker('two', 10);
    await until(() => areFresh() && limits().join() === '90,10');
    process.kill(server.pid, 'SIGSTOP');
    await until(() => modes().every((mode) => mode === 'floor'));
    expect(limits()).toEqual([50, 10]);
    process.kill(server.pid, 'SIGCONT');
    await until(() => areFresh() && limits().join() === '90,10');
  });

  test('recover after Redis was killed and restarted empty', async () => {
    startWorker('one', 300);
    startWorker('two', 10);
    await until(() => areFresh() && limits().join() === '90,10');
    await server.kill();
    await until(() => modes().every((mode) => mode === 'floor'));
    server = await startTestRedis({ port: server.port });
    await until(() => areFresh() && limits().join() === '90,10');
    expect(workers.map(({ leases }) => leases.stats().workers)).toEqual([2, 2]);
  });

  test('take over the permits of a worker that leaves, and divide the cap among the rest', async () => {
    startWorker('stays', 10);
    const { leases } = startWorker('leaves', 10);
    await until(() => limits().join() === '50,50');
    await leases.close();
    workers.pop();
    await until(() => limits()[0] === CAP && workers[0]!.leases.stats().workers === 1);
  });

  test('stop counting a dead worker permanently once its exit is reported', async () => {
    const { leases } = startWorker('survivor', 10);
    await until(areFresh);
    await client.eval(LEASE_ACCOUNT_SCRIPT, 1, 'atlas:{test}:permits', '', await runId(), ...deadRenewal(1));
    await until(() => leases.stats().workers === 2);
    await leases.reportExit('dead');
    await until(() => leases.stats().workers === 1);
    // A delayed renewal of the dead worker arrives, and its exit is reported again.
    const late = client.eval(
      LEASE_ACCOUNT_SCRIPT,
      1,
      'atlas:{test}:permits',
      '',
      await runId(),
      ...deadRenewal(2),
    );
    expect(await late).toEqual([0]);
    await leases.reportExit('dead');
    const { renewals } = leases.stats();
    await until(() => leases.stats().renewals > renewals + 1);
    expect(leases.stats().workers).toBe(1);
  });

  test('report an error if an exit cannot be reported', async () => {
    const { leases } = startWorker('alone');
    await until(areFresh);
    await server.kill();
    await until(() => leases.stats().renewalFailures > 0);
    await expect(leases.reportExit('dead')).rejects.toThrow('Redis');
  });

  async function runId(): Promise<string> {
    return /^run_id:(\w+)/m.exec(await client.info('server'))![1]!;
  }

  function deadRenewal(seq: number): (string | number)[] {
    return ['beat', 'dead', seq, 0, 0, 0, CAP, 0, 0, 0, 0, 0, 0];
  }
});
