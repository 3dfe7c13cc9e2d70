import { describe, expect, test } from 'bun:test';
import { Redis } from 'ioredis';
import { isRedisHere, startTestRedis } from '../../support/redis.ts';

/** A connection that gives up at once, so that a test sees whether somebody answers. */
function connect(url: string): Redis {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
  redis.on('error', () => {});
  return redis;
}

async function answers(url: string): Promise<boolean> {
  const redis = connect(url);
  const pong = await redis.ping().catch(() => null);
  redis.disconnect();
  return pong === 'PONG';
}

describe.if(isRedisHere())('the Redis of a test', () => {
  test('answers, and comes back empty with another run id on the port where it was killed', async () => {
    const first = await startTestRedis();
    expect(await answers(first.url)).toBe(true);
    const before = connect(first.url);
    await before.set('seen', 1);
    const runId = /run_id:(\w+)/.exec(await before.info('server'))?.[1];
    await first.kill();
    before.disconnect();
    expect(await answers(first.url)).toBe(false);

    const second = await startTestRedis({ port: first.port });
    const after = connect(second.url);
    expect(second.url).toBe(first.url);
    expect(await after.get('seen')).toBeNull();
    expect(await after.info('server')).not.toContain(runId!);
    after.disconnect();
    await second.stop();
    expect(await answers(second.url)).toBe(false);
  });

  test('writes nothing to disk, even when it ends in order', async () => {
    const redis = await startTestRedis();
    const client = connect(redis.url);
    expect(await client.config('GET', 'save')).toEqual(['save', '']);
    expect(await client.config('GET', 'appendonly')).toEqual(['appendonly', 'no']);
    client.disconnect();
    await redis.stop();
  });

  test('tells what is wrong when its port is taken', async () => {
    const redis = await startTestRedis();
    const second = startTestRedis({ port: redis.port });
    await expect(second).rejects.toThrow(`check whether another process uses its port (${redis.port})`);
    await redis.stop();
  });
});
