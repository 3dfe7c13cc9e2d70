import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { Redis } from 'ioredis';
import { isRedisHere, startTestRedis, type TestRedis } from '../../support/redis.ts';
import { isToxiproxyHere, startToxiproxy, type ToxicProxy, type Toxiproxy } from '../../support/toxiproxy.ts';

// What the fault tests rest on: that each toxic does what it is meant to, and that taking it away heals the way.
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

  test('answers', async () => {
    expect(await client.ping()).toBe('PONG');
    expect(new URL(proxy.url).port).not.toBe(new URL(redis.url).port);
  });

  test('answers later on the open connection while there is latency', async () => {
    await proxy.add({ type: 'latency', latencyMs: 300 });
    let answered = false;
    const late = client.ping().then(() => {
      answered = true;
    });
    const direct = new Redis(redis.url);
    await direct.ping();
    expect(answered).toBe(false);
    await late;
    direct.disconnect();
  });

  test('carries out what it is told and says nothing while its answers are lost', async () => {
    await proxy.add({ type: 'timeout', timeoutMs: 0 });
    const direct = new Redis(redis.url);
    let answered = false;
    const lost = client.set('seen', 1).then(
      () => {
        answered = true;
      },
      () => 'closed',
    );
    while ((await direct.get('seen')) === null) await Bun.sleep(5);
    expect(answered).toBe(false);
    client.disconnect();
    expect(await lost).toBe('closed');
    direct.disconnect();
  });

  test('is reached as before on the same port when the way is healed', async () => {
    await proxy.add({ type: 'latency', latencyMs: 60_000 }, 'upstream');
    const closed = new Promise((done) => client.once('close', done));
    const late = client.set('seen', 1).then(
      () => 'answered',
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

  test('refuses and cuts while disabled, and comes back on the same port', async () => {
    const closed = new Promise((done) => client.once('close', done));
    await proxy.disable();
    await closed;
    expect(await client.connect().then(Boolean, () => 'refused')).toBe('refused');
    await proxy.enable();
    await client.connect();
    expect(await client.ping()).toBe('PONG');
  });
});
