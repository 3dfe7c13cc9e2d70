import { afterEach, beforeEach, expect, test } from 'bun:test';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { freshDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { type AtlasProcess, isAlive, makeFolder, removeFolder, startAtlas } from './atlas-process.ts';
import { type Payments, startPayments } from './payments.ts';

const TIMEOUT_MS = 120_000;
const WORKERS = 3;
const DEATHS = 3;

let folder: string;
let atlas: AtlasProcess;
let payments: Payments;
beforeEach(async () => {
  folder = await makeFolder();
  atlas = await startAtlas(folder, { DATABASE_URL: await freshDatabase(), API_WORKERS: String(WORKERS) });
  payments = await startPayments(atlas.url, atlas.key!, { callers: 16 });
  await untilForwarding();
}, TIMEOUT_MS);
afterEach(async () => {
  await atlas.end('SIGKILL');
  await removeFolder(folder);
}, TIMEOUT_MS);

/** Returns a metric of the host, from any of its workers. */
async function metric(name: string): Promise<number> {
  const response = await fetch(`${atlas.url}/metrics`, { keepalive: false }).catch(() => null);
  const text = (await response?.text().catch(() => '')) ?? '';
  return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN);
}

/** Waits until workers send payments to the committer. */
async function untilForwarding(): Promise<void> {
  const forwarded = () => metric('atlas_ledger_forwarded_total');
  const before = await until(async () => {
    const count = await forwarded();
    return Number.isFinite(count) && { count };
  });
  await until(async () => (await forwarded()) > before.count + 50);
}

const commitSockets = async () =>
  (await readdir(join(folder, 'data'))).filter((name) => name.startsWith('commit-'));

/** Returns the process of the worker that posts for all of them. */
async function committerPid(): Promise<number> {
  return until(async () => {
    const [, slot, incarnation] = /^commit-\d+-(\d+)-(\d+)\.sock$/.exec((await commitSockets()).join()) ?? [];
    const { slots } = await atlas.status();
    return slots.find(
      ({ worker }) => worker?.slot === Number(slot) && worker.incarnation === Number(incarnation),
    )?.worker?.pid;
  });
}

/** While another worker starts, one may have no processor time left. It refuses for that reason alone. */
function expectLossless(): void {
  expect(payments.statuses.get(429) ?? 0).toBe(payments.outOfTime);
  expectOnly(201, 200, 0, 429);
}

/** Fails the test unless every response since the last call was a payment, or was lost with a killed worker. */
function expectOnly(...statuses: readonly number[]): void {
  expect([...payments.statuses.keys()].filter((status) => !statuses.includes(status))).toEqual([]);
}

test(
  'the committer of a host is killed under load: no payment is lost or doubled, and another worker takes over',
  async () => {
    for (let death = 0; death < DEATHS; death++) {
      const pid = await committerPid();
      process.kill(pid, 'SIGKILL');
      await until(() => !isAlive(pid));
      const { acknowledged } = payments;
      await until(() => payments.acknowledged > acknowledged + 50);
      await untilForwarding();
      // The socket of the killed worker is removed.
      await until(async () => (await commitSockets()).length === 1);
    }
    expectLossless();
    await payments.settle();
  },
  TIMEOUT_MS,
);

test(
  'the committer stalls: the others post their payments themselves',
  async () => {
    const pid = await committerPid();
    process.kill(pid, 'SIGSTOP');
    const { acknowledged } = payments;
    await until(() => payments.acknowledged > acknowledged + 50);
    // The supervisor replaces it.
    await until(() => !isAlive(pid));
    await untilForwarding();
    expectLossless();
    await payments.settle();
  },
  TIMEOUT_MS,
);

test(
  'all workers are replaced under load: every request succeeds',
  async () => {
    const before = await committerPid();
    const pids = async () => (await atlas.status()).slots.flatMap(({ worker }) => worker?.pid ?? []);
    const old = await pids();
    payments.forget();
    atlas.signal('SIGHUP');
    await until(async () => {
      const now = await pids();
      return now.length === WORKERS && now.every((pid) => !old.includes(pid));
    });
    await untilForwarding();
    expect(await committerPid()).not.toBe(before);
    expectOnly(201, 200);
    await payments.settle();
    await atlas.end('SIGTERM');
    expect(await commitSockets()).toEqual([]);
  },
  TIMEOUT_MS,
);
