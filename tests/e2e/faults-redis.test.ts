import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { Redis } from 'ioredis';
import { DEMO_ACCOUNTS } from '../../src/utils/demo-data.ts';
import { createClient } from '../support/atlas-client.ts';
import { startTestRedis, type TestRedis } from '../support/redis.ts';
import { START_TIMEOUT_MS } from '../support/test-app.ts';
import { until } from '../support/until.ts';
import { areServicesHere, type FaultyAtlas, startFaultyAtlas, statusOf } from './faulty-atlas.ts';
import { type Payments, startSteadyPayments } from './payments.ts';

const FAULT_TIMEOUT_MS = 60_000;

describe.if(areServicesHere({ redis: true }))('when Redis', () => {
  let faulty: FaultyAtlas;
  let redis: TestRedis;
  let url: string;
  let authorization: { Authorization: string };
  let transferPath: string;
  beforeAll(async () => {
    faulty = await startFaultyAtlas({ redis: true });
    redis = faulty.redis!;
    url = faulty.atlas.url;
    authorization = { Authorization: `Bearer ${faulty.key}` };
    const client = createClient(url, faulty.key);
    const [debitAccountId, creditAccountId] = [DEMO_ACCOUNTS.bank, DEMO_ACCOUNTS.bob];
    const posted = await client.post(
      '/v1/transfers',
      { debitAccountId, creditAccountId, amount: 5 },
      'cached',
    );
    transferPath = `/v1/transfers/${(posted!.body as { id: string }).id}`;
  }, START_TIMEOUT_MS);
  afterAll(async () => {
    await faulty?.stop();
    await redis?.stop();
  }, START_TIMEOUT_MS);

  const readTransfer = () => statusOf(`${url}${transferPath}`, authorization);

  /** Expects that all payments and reads succeed. */
  async function expectUnharmed(payments: Payments): Promise<void> {
    const before = payments.acknowledged;
    const reads = new Set<number>();
    await until(async () => {
      reads.add(await readTransfer());
      return payments.acknowledged >= before + 150;
    });
    expect([...reads]).toEqual([200]);
    expect([...payments.statuses.keys()]).toEqual([201]);
    for (const path of ['/health/live', '/health/ready']) expect(await statusOf(`${url}${path}`)).toBe(200);
  }

  async function withRedis(speak: (direct: Redis) => Promise<unknown>): Promise<void> {
    const direct = new Redis(redis.url);
    try {
      await speak(direct);
    } finally {
      direct.disconnect();
    }
  }

  async function expectNoHarmBy(begin: () => unknown, end: () => unknown): Promise<void> {
    const payments = await startSteadyPayments(url, faulty.key);
    await begin();
    await expectUnharmed(payments);
    await end();
    await expectUnharmed(payments);
    await payments.settle();
  }

  test(
    'is killed and restarts empty: nobody notices',
    () =>
      expectNoHarmBy(
        () => redis.kill(),
        async () => {
          redis = await startTestRedis({ port: redis.port });
        },
      ),
    FAULT_TIMEOUT_MS,
  );

  test(
    'is frozen: nobody notices or waits for it',
    () =>
      expectNoHarmBy(
        () => process.kill(redis.pid, 'SIGSTOP'),
        () => process.kill(redis.pid, 'SIGCONT'),
      ),
    FAULT_TIMEOUT_MS,
  );

  test(
    'responds two seconds late: nobody notices',
    () =>
      expectNoHarmBy(
        () => faulty.toRedis!.add({ type: 'latency', latencyMs: 2000 }),
        () => faulty.toRedis!.heal(),
      ),
    FAULT_TIMEOUT_MS,
  );

  test(
    'is flushed: nobody notices',
    () =>
      expectNoHarmBy(
        () => withRedis((direct) => direct.flushall()),
        () => {},
      ),
    FAULT_TIMEOUT_MS,
  );

  test(
    'holds a corrupt value for every key: it is ignored and discarded',
    () =>
      expectNoHarmBy(
        async () => {
          await until(async () => (await readTransfer()) === 200);
          await withRedis(async (direct) => {
            const copies = await direct.keys('*:cache:*');
            expect(copies.length).toBeGreaterThan(0);
            for (const key of copies) await direct.set(key, 'corrupt');
          });
        },
        () => {},
      ),
    FAULT_TIMEOUT_MS,
  );
});
