import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { DEMO_ACCOUNTS } from '../../src/utils/demo-data.ts';
import { START_TIMEOUT_MS } from '../support/test-app.ts';
import { until } from '../support/until.ts';
import { readStatus } from './atlas-process.ts';
import { areServicesHere, type FaultyAtlas, startFaultyAtlas, statusOf, timeUntil } from './faulty-atlas.ts';
import { type Payments, startSteadyPayments } from './payments.ts';

const { bank: BANK, alice: ALICE } = DEMO_ACCOUNTS;
const FAULT_TIMEOUT_MS = 90_000;
// As many as `fetch` sends at once.
const REQUESTS_MAX = 256;

describe.if(areServicesHere({}))('when PostgreSQL', () => {
  let faulty: FaultyAtlas;
  let url: string;
  let authorization: { Authorization: string };
  /** Bypasses the proxy, like an operator. */
  let direct: postgres.Sql;
  beforeAll(async () => {
    faulty = await startFaultyAtlas(
      {},
      { HTTP_TIMEOUT: '5', DATABASE_TIMEOUT: '3', DATABASE_POOL_SIZE: '8' },
    );
    url = faulty.atlas.url;
    authorization = { Authorization: `Bearer ${faulty.key}` };
    direct = postgres(faulty.postgres.url, { max: 3, onnotice: () => {} });
  }, START_TIMEOUT_MS);
  afterAll(async () => {
    await direct?.end({ timeout: 1 });
    await faulty?.stop();
  }, START_TIMEOUT_MS);

  const read = () => statusOf(`${url}/v1/accounts/${ALICE}`, authorization);
  const seen = (payments: Payments) => [...payments.statuses.keys()].sort();

  async function expectRecovery(payments: Payments, after: string): Promise<void> {
    const before = payments.acknowledged;
    const recoveryMs = await timeUntil(
      'payments succeed again',
      async () => payments.acknowledged > before + 4,
    );
    console.log(`payments succeeded ${Math.round(recoveryMs)} ms after ${after}`);
    await timeUntil('it is ready', async () => (await statusOf(`${url}/health/ready`)) === 200);
    await untilBreakersClosed();
    expect(payments.withoutRetryAfter).toBe(0);
    await payments.settle();
    // No worker has exited because of it.
    const { slots } = await readStatus(faulty.folder, url);
    expect(slots.map(({ restarts }) => restarts)).toEqual(slots.map(() => 0));
  }

  /** Waits until each worker, and not only the one that served the last request, has reported closed breakers. */
  async function untilBreakersClosed(): Promise<void> {
    const sinceMs = performance.now();
    await until(async () => {
      const { slots } = await readStatus(faulty.folder, url);
      return slots.every(({ worker, heartbeatAgeSeconds }) => {
        const isFresh = (heartbeatAgeSeconds ?? Infinity) * 1000 < performance.now() - sinceMs;
        return isFresh && Object.keys(worker!.breakers).length === 0;
      });
    });
  }

  /** Runs work while nobody else can use the table of accounts. */
  async function whileLocked<T>(work: () => Promise<T>): Promise<T> {
    const locker = await direct.reserve();
    try {
      await locker`BEGIN`;
      await locker`LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE`;
      return await work();
    } finally {
      await locker`ROLLBACK`;
      locker.release();
    }
  }

  test(
    'is killed: immediate 503, live but not ready; after recovery every payment has taken effect once',
    async () => {
      const payments = await startSteadyPayments(url, faulty.key);
      await faulty.postgres.kill();
      await until(() => (payments.statuses.get(503) ?? 0) > 40);
      expect(seen(payments).filter((status) => ![201, 503].includes(status))).toEqual([]);
      expect(await read()).toBe(503);
      expect(await statusOf(`${url}/health/live`)).toBe(200);
      expect(await statusOf(`${url}/health/ready`)).toBe(503);
      console.log(`the slowest response while PostgreSQL was down took ${Math.round(payments.slowestMs)} ms`);
      await faulty.postgres.restart();
      await expectRecovery(payments, 'PostgreSQL was started again');
    },
    FAULT_TIMEOUT_MS,
  );

  test(
    'is frozen: 503 or 504, live; nothing is lost or duplicated when it continues',
    async () => {
      const payments = await startSteadyPayments(url, faulty.key);
      await faulty.postgres.pause();
      await until(() => (payments.statuses.get(503) ?? 0) > 40);
      expect(seen(payments).filter((status) => ![201, 503, 504].includes(status))).toEqual([]);
      expect(await statusOf(`${url}/health/live`)).toBe(200);
      expect(await statusOf(`${url}/health/ready`)).toBe(503);
      console.log(
        `the slowest response while PostgreSQL was frozen took ${Math.round(payments.slowestMs)} ms`,
      );
      faulty.postgres.resume();
      await expectRecovery(payments, 'PostgreSQL went on');
    },
    FAULT_TIMEOUT_MS,
  );

  test(
    'is repeatedly unreachable: each key takes effect once, whether or not its COMMIT arrived',
    async () => {
      const payments = await startSteadyPayments(url, faulty.key);
      for (let cut = 0; cut < 8; cut++) {
        await faulty.toPostgres.disable();
        await until(() => (payments.statuses.get(503) ?? 0) > 4);
        await faulty.toPostgres.enable();
        payments.forget();
        await until(() => (payments.statuses.get(201) ?? 0) > 4);
      }
      await expectRecovery(payments, 'the network was back');
    },
    FAULT_TIMEOUT_MS,
  );

  test(
    'is slow: reads get 504 at the deadline of the caller, and are canceled on the server',
    async () => {
      await whileLocked(async () => {
        const deadline = { ...authorization, 'x-envoy-expected-rq-timeout-ms': '300' };
        const statuses = await Promise.all(
          Array.from({ length: 6 }, () => statusOf(`${url}/v1/accounts/${ALICE}`, deadline)),
        );
        expect(new Set(statuses)).toEqual(new Set([504]));
        const waiting = async () => {
          const [row] = await direct`SELECT count(*)::int AS n FROM pg_stat_activity
          WHERE wait_event_type = 'Lock' AND query LIKE '%FROM accounts%'`;
          return row!.n;
        };
        await until(async () => (await waiting()) === 0);
      });
      await until(async () => (await read()) === 200);
    },
    FAULT_TIMEOUT_MS,
  );

  test(
    'has no connection left for Atlas: some requests wait, others are refused immediately, and nothing else is affected',
    async () => {
      const request = async () => {
        const response = await fetch(`${url}/v1/accounts/${ALICE}`, { headers: authorization });
        await response.arrayBuffer();
        return { status: response.status, retryAfter: response.headers.get('Retry-After') };
      };
      for (let i = 0; i < 40; i++) await request();
      const requests = await whileLocked(async () => {
        let full: Awaited<ReturnType<typeof request>> | undefined;
        const sent: ReturnType<typeof request>[] = [];
        // One burst may all wait: what a database can take that was idle is unknown. It refuses what arrives after that.
        const send = () => {
          const sending = request();
          void sending.then((response) => {
            if (response.status === 429) full ??= response;
          });
          sent.push(sending);
        };
        for (let i = 0; i < 40; i++) send();
        // At once: a worker verifies a key for 4 s without PostgreSQL, and the first refusal can take 3 s.
        expect(await statusOf(`${url}/health/live`)).toBe(200);
        expect(await statusOf(`${url}/v1/ping`, authorization)).toBe(200);
        await until(
          () => {
            if (sent.length < REQUESTS_MAX) send();
            return full !== undefined;
          },
          { pollMs: 10 },
        );
        expect(Number(full?.retryAfter)).toBeGreaterThan(0);
        return sent;
      });
      const statuses = new Set((await Promise.all(requests)).map(({ status }) => status));
      expect([...statuses].filter((status) => ![200, 429, 503, 504].includes(status))).toEqual([]);
      await until(async () => (await read()) === 200);
    },
    FAULT_TIMEOUT_MS,
  );

  test(
    'aborts a batch to break a deadlock: the batch is retried, and its callers do not notice',
    async () => {
      const retries = async () => {
        const metrics = await (await fetch(`${url}/metrics`)).text();
        return Number(/^atlas_database_conflicts_total\{outcome="retried"\} (\d+)/m.exec(metrics)?.[1]);
      };
      const payments = await startSteadyPayments(url, faulty.key);
      const retriesBefore = await retries();
      const rival = await direct.reserve();
      await rival`BEGIN`;
      // Long enough that the other side detects the deadlock.
      await rival`SET LOCAL deadlock_timeout = '20s'`;
      await rival`SELECT FROM accounts WHERE id = ${ALICE} FOR UPDATE`;
      const isBlocked = async () => {
        const rows = await direct`SELECT FROM pg_stat_activity
          WHERE wait_event_type = 'Lock' AND wait_event <> 'advisory' AND query LIKE '%post_movements%'`;
        return rows.length > 0;
      };
      await until(isBlocked);
      // The batch has locked the bank, whose id comes first, and waits for Alice.
      await rival`SELECT FROM accounts WHERE id = ${BANK} FOR UPDATE`;
      await rival`ROLLBACK`;
      rival.release();
      await until(async () => (await retries()) > retriesBefore);
      expect(seen(payments).filter((status) => status !== 201)).toEqual([]);
      await payments.settle();
    },
    FAULT_TIMEOUT_MS,
  );

  const small = mkdtempSync(join(tmpdir(), 'atlas-small-disk-'));
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', small]).status === 0;
  afterAll(() => {
    if (isMounted) spawnSync('umount', ['--lazy', small]);
    rmSync(small, { recursive: true, force: true });
  });
  if (!isMounted) console.warn('A small disk cannot be mounted here. Skipping the test of a full disk.');

  test.if(isMounted)(
    'has a full disk: writes get 503, reads succeed, nothing is partial, and it recovers once there is room',
    async () => {
      const folder = join(small, 'space');
      execFileSync('install', ['-d', '-o', 'postgres', '-g', 'postgres', folder]);
      chmodSync(small, 0o755);
      await direct.unsafe(`CREATE TABLESPACE small LOCATION '${folder}'`);
      await direct`ALTER TABLE transfers SET TABLESPACE small`;
      const payments = await startSteadyPayments(url, faulty.key);
      const filler = join(small, 'filler');
      try {
        writeFileSync(filler, Buffer.alloc(24 << 20));
      } catch {
        // The disk is full.
      }
      await until(() => (payments.statuses.get(503) ?? 0) > 10);
      expect(seen(payments).filter((status) => ![201, 503].includes(status))).toEqual([]);
      expect(await read()).toBe(200);
      expect(await statusOf(`${url}/health/ready`)).toBe(200);
      rmSync(filler);
      await expectRecovery(payments, 'there was room again');
      await direct`ALTER TABLE transfers SET TABLESPACE pg_default`;
      await direct`DROP TABLESPACE small`;
    },
    FAULT_TIMEOUT_MS,
  );
});
