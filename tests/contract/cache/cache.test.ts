import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import type { Cache } from '../../../src/adapters/cache/cache.ts';
import { CacheAside } from '../../../src/adapters/cache/cache-aside.ts';
import { MemoryCache } from '../../../src/adapters/cache/memory-cache.ts';
import { RedisCache } from '../../../src/adapters/cache/redis-cache.ts';
import { openRedis, type Redis, untilReady } from '../../../src/adapters/redis/redis.ts';
import { isRedisHere, startTestRedis, type TestRedis } from '../../support/redis.ts';
import { until } from '../../support/until.ts';

const READY_MS = 5000;
const MINUTE_MS = 60_000;

interface Implementation {
  start(): Promise<void>;
  /** A cache without entries. */
  fresh(): Promise<Cache>;
  stop(): Promise<void>;
}

const memory: Implementation = {
  start: async () => {},
  fresh: async () => new MemoryCache({ entriesMax: 1000, sizeBytesMax: 10_000_000 }),
  stop: async () => {},
};

function inRedis(): Implementation {
  let server: TestRedis;
  let client: Redis;
  let cache: RedisCache;
  return {
    async start() {
      server = await startTestRedis();
      client = openRedis({ url: server.url, timeoutMs: 5000 });
      await untilReady(client, READY_MS);
      cache = new RedisCache({
        redis: client,
        prefix: 'test',
        timeoutMs: 5000,
        failureThreshold: 5,
        recoveryTimeoutMs: MINUTE_MS,
      });
    },
    async fresh() {
      await client.flushall();
      return cache;
    },
    async stop() {
      cache.close();
      await server.stop();
    },
  };
}

const implementations: [string, Implementation][] = [
  ['in memory', memory],
  ...(isRedisHere() ? [['in Redis', inRedis()] as [string, Implementation]] : []),
];

describe.each(implementations)('a cache %s', (_, { start, fresh, stop }) => {
  let cache: Cache;
  beforeAll(start);
  afterAll(stop);
  beforeEach(async () => {
    cache = await fresh();
  });

  test('is empty at first, and then returns what was set last', async () => {
    expect(await cache.get('a')).toBeNull();
    await cache.set('a', '1', MINUTE_MS);
    await cache.set('a', '2', MINUTE_MS);
    expect(await cache.get('a')).toBe('2');
    expect(await cache.get('b')).toBeNull();
  });

  test.each(['', ' ', 'ä😀\0\r\n"', 'x'.repeat(65_536)])('stores any text unchanged (%#)', async (text) => {
    await cache.set('a', text, MINUTE_MS);
    expect(await cache.get('a')).toBe(text);
    expect(await cache.replace('a', text, `${text}.`, MINUTE_MS)).toBe(true);
    expect(await cache.get('a')).toBe(`${text}.`);
  });

  test('drops an entry when it expires', async () => {
    await cache.set('a', '1', 1);
    await cache.set('b', '1', MINUTE_MS);
    expect(await cache.replace('b', '1', '2', 1.5)).toBe(true);
    await until(async () => (await cache.get('a')) === null && (await cache.get('b')) === null);
  });

  test('replaces what the caller has seen', async () => {
    expect(await cache.replace('a', null, '1', MINUTE_MS)).toBe(true);
    expect(await cache.replace('a', '1', '2', MINUTE_MS)).toBe(true);
    expect(await cache.get('a')).toBe('2');
    expect(await cache.replace('a', '2', null, MINUTE_MS)).toBe(true);
    expect(await cache.get('a')).toBeNull();
  });

  test('replaces nothing else', async () => {
    expect(await cache.replace('a', '', '1', MINUTE_MS)).toBe(false);
    expect(await cache.get('a')).toBeNull();
    await cache.set('a', '1', MINUTE_MS);
    expect(await cache.replace('a', null, '2', MINUTE_MS)).toBe(false);
    expect(await cache.replace('a', '0', '2', MINUTE_MS)).toBe(false);
    expect(await cache.replace('a', '0', null, MINUTE_MS)).toBe(false);
    expect(await cache.get('a')).toBe('1');
  });

  test('lets one of several concurrent writers win', async () => {
    const writers = Array.from({ length: 20 }, (_, i) => cache.replace('a', null, `${i}`, MINUTE_MS));
    const won = (await Promise.all(writers)).flatMap((has, i) => (has ? [`${i}`] : []));
    expect(won.length).toBe(1);
    expect(await cache.get('a')).toBe(won[0]!);
  });

  test('loads once for a hundred concurrent callers', async () => {
    const aside = new CacheAside<number>({
      cache,
      name: 'number',
      ttlMs: MINUTE_MS,
      staleMs: 0,
      negativeTtlMs: 0,
      changes: false,
      fits: (value): value is number => typeof value === 'number',
    });
    let loads = 0;
    const load = async () => ++loads;
    const all = () => Promise.all(Array.from({ length: 100 }, () => aside.find('a', load)));
    expect(new Set(await all())).toEqual(new Set([1]));
    expect(new Set(await all())).toEqual(new Set([1]));
    expect(loads).toBe(1);
    expect(aside.stats).toMatchObject({ hits: 100, misses: 100, loads: 1, errors: 0 });
  });
});
