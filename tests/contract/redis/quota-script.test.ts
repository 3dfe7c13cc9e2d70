import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openRedis, type Redis } from '../../../src/adapters/redis/redis.ts';
import { RedisScript } from '../../../src/adapters/redis/redis-script.ts';
import { encodeReports, type QuotaReport } from '../../../src/features/identity/quotas/protocol.ts';
import { QUOTA_ACCOUNT_SCRIPT } from '../../../src/features/identity/quotas/quota-script.ts';
import { Random } from '../../simulation/random.ts';
import { isRedisHere, startTestRedis, type TestRedis } from '../../support/redis.ts';

const SCRIPT_BEFORE = readFileSync(join(import.meta.dir, 'quota-account-before.lua'), 'utf8');
const START_MS = 1_790_000_000_000;
const SEEDS = 30;
const STEPS = 300;
const ACCOUNTS = 20;

describe.if(isRedisHere())('the script of the quotas', () => {
  let server: TestRedis;
  let redis: Redis;
  let script: RedisScript;
  let before: RedisScript;

  beforeAll(async () => {
    server = await startTestRedis();
    redis = openRedis({ url: server.url, timeoutMs: 5000 });
    await new Promise((resolve) => redis.once('ready', resolve));
    const common = { redis, prefix: 'script', what: 'quotas' };
    script = new RedisScript({ ...common, script: QUOTA_ACCOUNT_SCRIPT });
    before = new RedisScript({ ...common, script: SCRIPT_BEFORE });
  });

  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });

  function randomReport(random: Random): QuotaReport {
    const limited = random.whole(0, 3);
    return {
      rate: limited === 0 ? 0 : 100,
      capacity: 25,
      kept: random.pick([0, 0, random.whole(0, 12)]),
      returned: random.pick([0, 0, random.whole(0, 12)]),
      owed: random.pick([0, 0, random.whole(0, 3)]),
      wanted: random.pick([0, random.whole(0, 20)]),
      concurrentMax: limited === 1 ? 0 : random.pick([10, 40]),
      claimed: random.pick([0, random.whole(0, 12)]),
      wantedInFlight: random.pick([0, random.whole(0, 20)]),
    };
  }

  test('replies as the one before, alone and in turn with it, also when workers die and clocks jump', async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = new Random(seed);
      let nowMs = START_MS;
      for (let step = 0; step < STEPS; step++) {
        nowMs += random.pick([0, 1, 25, 25, 25, 200, 1199, 1200, 1201, 5000, -50, -2000]);
        const args = encodeReports(`w${random.whole(1, 6)}`, [randomReport(random)], nowMs);
        const expected = await before.run([`before${seed}`], args);
        const either = random.pick([before, script]);
        const replies = await Promise.all([
          script.run([`after${seed}`], args),
          either.run([`both${seed}`], args),
        ]);
        expect([seed, step, ...replies]).toEqual([seed, step, expected, expected]);
      }
      const stored = async (name: string) => {
        const { totals, ...rest } = await redis.hgetall(`atlas:{script}:quotas:${name}`);
        return rest;
      };
      expect(await stored(`after${seed}`)).toEqual(await stored(`before${seed}`));
    }
  });

  test('goes on when the totals on record are corrupt', async () => {
    const key = 'atlas:{script}:quotas:corrupt';
    const report = { ...randomReport(new Random(1)), kept: 2, wanted: 1 };
    for (const text of ['', 'x', '1:1:1:1:1', '9:9:9:9:9:9e99', '1:1:1:1:1:99999999999999999']) {
      await redis.del(key);
      for (const worker of ['a', 'b'])
        await script.run(['corrupt'], encodeReports(worker, [report], START_MS));
      const sound = await redis.hget(key, 'totals');
      expect(sound).toMatch(/^\d/);
      await redis.hset(key, 'totals', text);
      await script.run(['corrupt'], encodeReports('b', [report], START_MS));
      expect([text, await redis.hget(key, 'totals')]).toEqual([text, sound]);
    }
  });

  test.each([2, 64])(
    'reads every worker only when one may have expired, with %d workers',
    async (workers) => {
      const names = Array.from({ length: ACCOUNTS }, (_, i) => `cost${workers}.${i}`);
      const report = {
        ...randomReport(new Random(2)),
        rate: 100,
        kept: 1,
        wanted: 1,
        concurrentMax: 100,
        claimed: 1,
      };
      const reports = names.map(() => report);
      await redis.config('RESETSTAT');
      const seconds = 6;
      const intervalMs = 25;
      for (let ms = 0; ms < seconds * 1000; ms += intervalMs)
        for (let worker = 0; worker < workers; worker++)
          await script.run(names, encodeReports(`w${worker}`, reports, START_MS + ms));
      const stats = await redis.info('commandstats');
      const callsOf = (command: string) =>
        Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0) / ACCOUNTS;
      // An entry lasts 1.2 s, and is renewed every 25 ms.
      expect(callsOf('hgetall')).toBeLessThanOrEqual(seconds + 1);
      const inAll = (workers * seconds * 1000) / intervalMs;
      expect(callsOf('hmget') + callsOf('hset') + callsOf('hdel') + callsOf('pexpire')).toBeLessThanOrEqual(
        3 * inAll,
      );
    },
  );
});
