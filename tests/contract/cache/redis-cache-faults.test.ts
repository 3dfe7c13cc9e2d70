import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { CacheAside } from '../../../src/adapters/cache/cache-aside.ts';
import { RedisCache } from '../../../src/adapters/cache/redis-cache.ts';
import { openRedis, type Redis, untilReady } from '../../../src/adapters/redis/redis.ts';
import { isRedisHere, startTestRedis, type TestRedis } from '../../support/redis.ts';
import { isToxiproxyHere, startToxiproxy, type ToxicProxy, type Toxiproxy } from '../../support/toxiproxy.ts';
import { until } from '../../support/until.ts';

const TIMEOUT_MS = 50;
const MINUTE_MS = 60_000;

describe.if(isRedisHere() && isToxiproxyHere())('the cache when its Redis fails', () => {
  let redis: TestRedis;
  let toxiproxy: Toxiproxy;
  let proxy: ToxicProxy;
  let direct: Redis;
  let cache: RedisCache;
  let aside: CacheAside<number>;
  let loads: number;

  beforeEach(async () => {
    redis = await startTestRedis();
    toxiproxy = await startToxiproxy();
    proxy = await toxiproxy.proxy(redis.url);
    direct = openRedis({ url: redis.url, timeoutMs: 5000 });
    await untilReady(direct, 5000);
    const client = openRedis({ url: proxy.url, timeoutMs: 5000 });
    await untilReady(client, 5000);
    cache = new RedisCache({
      redis: client,
      prefix: 'test',
      timeoutMs: TIMEOUT_MS,
      failureThreshold: 5,
      recoveryTimeoutMs: MINUTE_MS,
    });
    loads = 0;
    aside = new CacheAside<number>({
      cache,
      name: 'number',
      ttlMs: MINUTE_MS,
      staleMs: 0,
      negativeTtlMs: 0,
      changes: true,
      fits: (value): value is number => typeof value === 'number',
    });
  });

  afterEach(async () => {
    cache.close();
    direct.disconnect();
    await toxiproxy.stop();
    await redis.kill();
  });

  const find = () => aside.find('a', async () => ++loads);

  /** Reads until the breaker is in the state. Every read returns a value. */
  async function readUntil(state: 'open' | 'closed'): Promise<void> {
    await until(async () => {
      expect(await find()).toBeGreaterThan(0);
      return cache.dependency.state === state;
    });
  }

  async function expectUse(): Promise<void> {
    await find();
    const before = loads;
    await find();
    expect(loads).toBe(before);
  }

  test.each([
    ['slow', () => proxy.add({ type: 'latency', latencyMs: 400 })],
    ['silent', () => proxy.add({ type: 'timeout', timeoutMs: 0 })],
    ['unreachable', () => proxy.add({ type: 'timeout', timeoutMs: 0 }, 'upstream')],
    ['down', () => proxy.disable()],
  ])('opens its breaker while Redis is %s, and closes it when Redis is back', async (fault, harm) => {
    await expectUse();
    await harm();
    await readUntil('open');
    const { errors } = aside.stats;
    expect(errors).toBeGreaterThan(0);
    if (fault === 'down') await proxy.enable();
    else await proxy.heal();
    await readUntil('closed');
    await expectUse();
  });

  test('shows a change that it could not record when the entry expires, at the latest', async () => {
    await find();
    await proxy.disable();
    await aside.forget('a');
    expect(aside.stats.errors).toBe(1);
    const [name] = await direct.keys('*');
    expect(await direct.pttl(name!)).toBeLessThanOrEqual(1.1 * MINUTE_MS);
  });

  test('is filled again after a flush', async () => {
    await expectUse();
    await direct.flushall();
    const before = loads;
    await expectUse();
    expect(loads).toBe(before + 1);
  });

  test('serves readers while Redis rejects writes', async () => {
    await direct.config('SET', 'maxmemory', '1');
    expect(await find()).toBe(1);
    expect(aside.stats.errors).toBe(1);
    await direct.config('SET', 'maxmemory', '0');
    await expectUse();
  });

  test('overwrites another data type under its key', async () => {
    await direct.rpush('test:cache:number:a', 'not', 'a', 'text');
    expect(await find()).toBe(1);
    await expectUse();
    expect(aside.stats.errors).toBe(0);
  });

  test('does not mistake a blocked event loop for a slow Redis', async () => {
    await cache.set('a', 'here', MINUTE_MS);
    const read = cache.get('a');
    const untilMs = performance.now() + 3 * TIMEOUT_MS;
    while (performance.now() < untilMs);
    expect(await read).toBe('here');
  });
});
