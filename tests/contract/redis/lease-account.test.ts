import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { openRedis, type Redis } from '../../../src/adapters/redis/redis.ts';
import { decodeReply, encodeRenewal, type RenewalReply } from '../../../src/shedding/lease-protocol.ts';
import { LEASE_ACCOUNT_SCRIPT } from '../../../src/shedding/lease-script.ts';
import { LeaseAccount } from '../../simulation/lease-account.ts';
import { Random } from '../../simulation/random.ts';
import { isRedisHere, startTestRedis, type TestRedis } from '../../support/redis.ts';

const KEY = 'atlas:{contract}:permits';
const RUNS = 40;
const STEPS = 250;
/** What no renewal stores. */
const CORRUPT = [
  '',
  'x',
  '{',
  'null',
  '1',
  '"text"',
  '[]',
  '{"1":1}',
  '[1,2,3]',
  '[1,1,1,1,1,1,1,1,1,1,1,"1"]',
  '[1,1,1,1,1,1,1,1,1,1,1,null]',
  '[1,1,0.5,1,1,1,1,1,1,1,1,1]',
  '[1,1,1e300,1,1,1,1,1,1,1,1,1]',
  '[1,1,-1,1,1,1,1,1,1,1,1,1]',
  '[1,1,1,1,1,1,1,1,1,4,1,1]',
  '[1,9e15,1000,1,1,1,1,1,1,2,1,1]',
  `${'['.repeat(2000)}`,
];

describe.if(isRedisHere())('the account in Redis and its simulated twin', () => {
  let server: TestRedis;
  let redis: Redis;

  beforeAll(async () => {
    server = await startTestRedis();
    redis = openRedis({ url: server.url, timeoutMs: 5000 });
    await new Promise((resolve) => redis.once('ready', resolve));
  });

  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });

  const run = (nowMs: number | '', runId: string, args: readonly (string | number)[]) =>
    redis.eval(LEASE_ACCOUNT_SCRIPT, 1, KEY, nowMs, runId, ...args) as Promise<number[]>;

  async function stored(): Promise<Record<string, unknown>> {
    const fields = Object.entries(await redis.hgetall(KEY));
    return Object.fromEntries(fields.map(([name, text]) => [name, JSON.parse(text)]));
  }

  /** A random renewal: mostly one of a correct worker, sometimes one of a late, new or faulty worker. */
  function drawStep(random: Random, epochs: readonly number[], awake = [1]) {
    return {
      workerId: `w${random.pick(awake)}`,
      seq: random.whole(1, 400),
      claim: random.pick([0, random.whole(0, 30), random.whole(20, 60), random.whole(0, 120)]),
      wanted: random.pick([0, random.whole(0, 40), random.whole(0, 400)]),
      inFlight: random.whole(0, 30),
      cap: random.pick([100, 100, 100, random.whole(1, 100)]),
      cutoff: random.whole(0, 384),
      arrivals: random.pick([0, random.whole(0, 5000)]),
      standing: random.pick([0, 1, 2] as const),
      workers: random.whole(0, 9),
      epoch: random.chance(0.8) ? (epochs.at(-1) ?? 0) : random.pick([0, ...epochs]),
      version: random.whole(0, 30),
    };
  }

  test('return and store the same for any sequence of commands', async () => {
    for (let seed = 1; seed <= RUNS; seed++) {
      const random = new Random(seed);
      await redis.del(KEY);
      const twin = new LeaseAccount();
      let nowMs = 1_790_000_000_000;
      let runId = 'a';
      let seq = 0;
      const epochs: number[] = [];
      let awake = [1, 2, 3, 4, 5, 6];
      for (let step = 0; step < STEPS; step++) {
        nowMs += random.pick([0, 7, 25, 25, 50, 100, 150, 151]);
        // Occasionally a clock jump, a long silence, or another server, after which the account has to learn.
        if (random.chance(0.03))
          nowMs += random.pick([400, 999, 1001, -3, random.whole(-5000, 5000), 700_000]);
        if (random.chance(0.003)) runId = random.pick(['a', 'b']);
        // Some workers fall silent for longer than their lease, and return.
        if (random.chance(0.04))
          awake = [1, 2, 3, 4, 5, 6].filter((number) => number === 1 || random.chance(0.5));
        const at = `seed ${seed}, step ${step}`;
        if (random.chance(0.01) && twin.ids.length > 0) {
          const id = random.pick(twin.ids);
          await redis.hset(KEY, id, random.pick(CORRUPT));
          twin.corrupt(id);
        }
        if (random.chance(0.08)) {
          const workerId = `w${random.whole(1, 7)}`;
          const [reply] = await run(nowMs, runId, ['exit', workerId]);
          expect([at, reply === 1]).toEqual([at, twin.exit(nowMs, runId, workerId)]);
        } else {
          seq += 1;
          const drawn = drawStep(random, epochs, awake);
          const renewal = { ...drawn, seq: random.chance(0.9) ? seq : drawn.seq };
          const reply = decodeReply(await run(nowMs, runId, encodeRenewal(renewal)));
          expect([at, reply]).toEqual([at, twin.renewal(nowMs, runId, renewal)]);
          if (reply && reply.epoch !== epochs.at(-1)) epochs.push(reply.epoch);
        }
        if (!twin.hasCorrupt) expect([at, await stored()]).toEqual([at, twin.stored()]);
      }
    }
  });

  test('forget workers that are silent for long, first their names and then their number', async () => {
    await redis.del(KEY);
    const twin = new LeaseAccount();
    const quiet = { claim: 1, wanted: 1, inFlight: 1, cap: 10, cutoff: 0, arrivals: 0, standing: 0 } as const;
    const known = { workers: 0, epoch: 0, version: 0 };
    let nowMs = 1_790_000_000_000;
    let seq = 0;
    const renewal = async (workerId: string) => {
      const one = { ...quiet, ...known, workerId, seq: ++seq };
      const reply = decodeReply(await run(nowMs, 'a', encodeRenewal(one)));
      expect(reply).toEqual(twin.renewal(nowMs, 'a', one));
      return reply!;
    };
    for (const id of ['dead', 'alive']) await renewal(id);
    expect((await renewal('alive')).workers).toBe(2);
    // The clock of the account advances with the renewals of live workers.
    const live = async (untilMs: number) => {
      for (const endMs = nowMs + untilMs; nowMs < endMs; ) {
        nowMs += 150;
        await renewal('alive');
      }
    };
    await live(601_000);
    expect(Object.keys(await stored()).sort()).toEqual(['account', 'alive']);
    // It is still counted: it may come back, and uses its floor until then.
    expect((await renewal('alive')).workers).toBe(2);
    const moveClock = async (clock: number) => {
      const account = JSON.parse((await redis.hget(KEY, 'account'))!);
      await redis.hset(KEY, 'account', JSON.stringify(account.with(2, clock)));
      nowMs += 50;
      return decodeReply(
        await run(nowMs, 'a', encodeRenewal({ ...quiet, ...known, workerId: 'alive', seq: ++seq })),
      )!;
    };
    expect((await moveClock(86_400_000)).workers).toBe(2);
    expect((await moveClock(2 * 86_400_000)).workers).toBe(1);
  });

  test('count workers of a lost host as recent for eleven seconds, and keep their share of the floor', async () => {
    await redis.del(KEY);
    const none = { claim: 1, wanted: 1, inFlight: 1, cap: 10, cutoff: 0, arrivals: 0 };
    const known = new Map<string, RenewalReply>();
    let nowMs = 1_790_000_000_000;
    let seq = 0;
    const renewal = async (runId: string, workerId: string) => {
      const { standing = 0, workers = 0, epoch = 0, version = 0 } = known.get(workerId) ?? {};
      const one = { ...none, standing, workers, epoch, version, workerId, seq: ++seq };
      const reply = decodeReply(await run(nowMs, runId, encodeRenewal(one)))!;
      known.set(workerId, reply);
      return reply;
    };
    const pass = async (runId: string, ids: readonly string[], ms: number) => {
      for (const endMs = nowMs + ms; nowMs < endMs; nowMs += 100)
        for (const id of ids) await renewal(runId, id);
    };
    const survivors = ['a1', 'a2'];
    await pass('a', [...survivors, 'b1', 'b2'], 2000);
    await pass('a', survivors, 10_500);
    expect(await renewal('a', 'a1')).toMatchObject({ workers: 4, recentWorkers: 4 });
    await pass('a', survivors, 1000);
    expect(await renewal('a', 'a1')).toMatchObject({ workers: 4, recentWorkers: 2 });
    // They came back, and then Redis was unavailable for long: its silence is not theirs.
    await pass('a', [...survivors, 'b1', 'b2'], 1000);
    nowMs += 600_000;
    expect(await renewal('a', 'a1')).toMatchObject({ workers: 4, recentWorkers: 4 });
    // Another server, which knows nobody: all count until they have had time to renew.
    await redis.del(KEY);
    nowMs += 100;
    expect(await renewal('b', 'a1')).toMatchObject({ workers: 4, recentWorkers: 4 });
    await pass('b', survivors, 2000);
    expect(await renewal('b', 'a1')).toMatchObject({ workers: 4, recentWorkers: 2 });
  });

  test('use the clock of Redis if no time is given, as in production', async () => {
    await redis.del(KEY);
    const renewal = { ...drawStep(new Random(1), []), seq: 1 };
    const before = await redis.time();
    await run('', 'a', encodeRenewal(renewal));
    const account = (await stored()).account as [string, number];
    const beforeMs = Number(before[0]) * 1000 + Math.floor(Number(before[1]) / 1000);
    expect(account[1]).toBeGreaterThanOrEqual(beforeMs);
    expect(await redis.pttl(KEY)).toBeGreaterThan(86_400_000);
  });
});
