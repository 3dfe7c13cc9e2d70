import { describe, expect, test } from 'bun:test';
import { Redis } from 'ioredis';
import { isRedisHere, startTestRedis } from '../../support/redis.ts';

/** A connection that does not retry, so that a test sees whether the server responds. */
function connect(url: string): Redis {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
  redis.on('error', () => {});
  return redis;
}

async function responds(url: string): Promise<boolean> {
  const redis = connect(url);
  const pong = await redis.ping().catch(() => null);
  redis.disconnect();
  return pong === 'PONG';
}

describe.if(isRedisHere())('a test Redis', () => {
  test('responds, and after a kill starts empty on the same port with another run id', async () => {
    const first = await startTestRedis();
    expect(await responds(first.url)).toBe(true);
    const before = connect(first.url);
    await before.set('seen', 1);
    const runId = /run_id:(\w+)/.exec(await before.info('server'))?.[1];
    await first.kill();
    before.disconnect();
    expect(await responds(first.url)).toBe(false);

    const second = await startTestRedis({ port: first.port });
    const after = connect(second.url);
    expect(second.url).toBe(first.url);
    expect(await after.get('seen')).toBeNull();
    expect(await after.info('server')).not.toContain(runId!);
    after.disconnect();
    await second.stop();
    expect(await responds(second.url)).toBe(false);
  });

  test('writes nothing to disk, not even at an orderly stop', async () => {
    const redis = await startTestRedis();
    const client = connect(redis.url);
    expect(await client.config('GET', 'save')).toEqual(['save', '']);
    expect(await client.config('GET', 'appendonly')).toEqual(['appendonly', 'no']);
    client.disconnect();
    await redis.stop();
  });

  test('reports why it failed to start when its port is taken', async () => {
    const redis = await startTestRedis();
    const second = startTestRedis({ port: redis.port });
    await expect(second).rejects.toThrow(`check whether another process uses its port (${redis.port})`);
    await redis.stop();
  });
});
