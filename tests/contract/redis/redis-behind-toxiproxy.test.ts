import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { Redis } from 'ioredis';
import { isRedisHere, startTestRedis, type TestRedis } from '../../support/redis.ts';
import { isToxiproxyHere, startToxiproxy, type ToxicProxy, type Toxiproxy } from '../../support/toxiproxy.ts';
import { until } from '../../support/until.ts';

// The fault tests rely on this: each toxic has its effect, and healing the proxy ends it.
describe.if(isRedisHere() && isToxiproxyHere())('a Redis behind toxiproxy', () => {
  let redis: TestRedis;
  let toxiproxy: Toxiproxy;
  let proxy: ToxicProxy;
  let client: Redis;

  beforeEach(async () => {
    redis = await startTestRedis();
    toxiproxy = await startToxiproxy();
    proxy = await toxiproxy.proxy(redis.url);
    client = new Redis(proxy.url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
    client.on('error', () => {});
    await client.connect();
  });

  afterEach(async () => {
    client.disconnect();
    await toxiproxy.stop();
    await redis.stop();
  });

  test('responds', async () => {
    expect(await client.ping()).toBe('PONG');
    expect(new URL(proxy.url).port).not.toBe(new URL(redis.url).port);
  });

  test('responds late on an open connection while there is latency', async () => {
    await proxy.add({ type: 'latency', latencyMs: 300 });
    let hasReplied = false;
    const late = client.ping().then(() => {
      hasReplied = true;
    });
    const direct = new Redis(redis.url);
    await direct.ping();
    expect(hasReplied).toBe(false);
    await late;
    direct.disconnect();
  });

  test('executes commands while its replies are lost', async () => {
    await proxy.add({ type: 'timeout', timeoutMs: 0 });
    const direct = new Redis(redis.url);
    let hasReplied = false;
    const lost = client.set('seen', 1).then(
      () => {
        hasReplied = true;
      },
      () => 'closed',
    );
    await until(() => direct.get('seen'));
    expect(hasReplied).toBe(false);
    client.disconnect();
    expect(await lost).toBe('closed');
    direct.disconnect();
  });

  test('is reachable on the same port after the proxy is healed', async () => {
    await proxy.add({ type: 'latency', latencyMs: 60_000 }, 'upstream');
    const closed = new Promise((done) => client.once('close', done));
    const late = client.set('seen', 1).then(
      () => 'replied',
      () => 'closed',
    );
    await proxy.heal();
    await closed;
    expect(await late).toBe('closed');
    await client.connect();
    expect(await client.get('seen')).toBeNull();
  });

  test('resets the connection', async () => {
    const closed = new Promise((done) => client.once('close', done));
    await proxy.add({ type: 'reset_peer', timeoutMs: 0 });
    client.ping().catch(() => {});
    await closed;
    expect(client.status).not.toBe('ready');
  });

  test('refuses and cuts connections while disabled, and is back on the same port afterwards', async () => {
    const closed = new Promise((done) => client.once('close', done));
    await proxy.disable();
    await closed;
    expect(await client.connect().then(Boolean, () => 'refused')).toBe('refused');
    await proxy.enable();
    await client.connect();
    expect(await client.ping()).toBe('PONG');
  });
});
