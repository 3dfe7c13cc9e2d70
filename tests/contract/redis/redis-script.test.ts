import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { openRedis, type Redis } from '../../../src/adapters/redis/redis.ts';
import { RedisScript } from '../../../src/adapters/redis/redis-script.ts';
import { isRedisHere, startTestRedis, type TestRedis } from '../../support/redis.ts';

const ADD = `
  local sums = {}
  for i, key in ipairs(KEYS) do sums[i] = redis.call('INCRBY', key, ARGV[1]) end
  return sums`;

describe.if(isRedisHere())('a script in Redis', () => {
  let server: TestRedis;
  let redis: Redis;
  const scriptOf = (script: string, prefix = 'test') =>
    new RedisScript({ redis, script, prefix, what: 'sums' });

  beforeAll(async () => {
    server = await startTestRedis();
    redis = openRedis({ url: server.url, timeoutMs: 5000 });
    await new Promise((resolve) => redis.once('ready', resolve));
  });
  beforeEach(async () => {
    await redis.flushall();
    await redis.script('FLUSH');
    await redis.config('RESETSTAT');
  });
  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });

  test('runs on several keys in one command, and returns its numbers', async () => {
    const script = scriptOf(ADD);
    expect(await script.run(['a', 'b'], [2])).toEqual([2, 2]);
    expect(await script.run(['b', 'c'], [3])).toEqual([5, 3]);
    expect((await redis.keys('*')).sort()).toEqual(
      ['a', 'b', 'c'].map((name) => `atlas:{test}:sums:${name}`),
    );
  });

  test('runs once if the server does not have it, and is sent in full only then', async () => {
    const script = scriptOf(ADD);
    expect(await script.run(['a'], [1])).toEqual([1]);
    expect(await script.run(['a'], [1])).toEqual([2]);
    await redis.script('FLUSH');
    expect(await script.run(['a'], [1])).toEqual([3]);
    const stats = await redis.info('commandstats');
    const calls = (command: string) => Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)![1]);
    expect(calls('eval')).toBe(2);
  });

  test('does not touch the keys of another deployment', async () => {
    await scriptOf(ADD, 'one').run(['a'], [1]);
    expect(await scriptOf(ADD, 'other').run(['a'], [1])).toEqual([1]);
  });

  test('that fails is not run again, and its error is passed on', async () => {
    const failing = scriptOf(`redis.call('INCR', KEYS[1]); error('broken')`);
    await expect(failing.run(['a'], [])).rejects.toThrow('broken');
    await expect(failing.run(['a'], [])).rejects.toThrow('broken');
    // The first run found no script on the server, so each call has run it once.
    expect(await redis.get('atlas:{test}:sums:a')).toBe('2');
  });

  test('is refused immediately without a connection', async () => {
    const lost = openRedis({ url: server.url, timeoutMs: 5000 });
    await new Promise((resolve) => lost.once('ready', resolve));
    lost.disconnect();
    const script = new RedisScript({ redis: lost, script: ADD, prefix: 'test', what: 'sums' });
    await expect(script.run(['a'], [1])).rejects.toThrow();
    expect(await redis.exists('atlas:{test}:sums:a')).toBe(0);
  });
});
