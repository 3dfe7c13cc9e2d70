import { afterEach, beforeEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import { openPostgres, type Sql } from '../../src/adapters/postgres/postgres.ts';
import { DEMO_ACCOUNTS } from '../../src/utils/demo-data.ts';
import { createClient } from '../support/atlas-client.ts';
import { freshDatabase } from '../support/database.ts';
import type { ListedEvent } from '../support/event-steps.ts';
import { START_TIMEOUT_MS } from '../support/test-app.ts';
import { until } from '../support/until.ts';
import { type AtlasProcess, isAlive, makeFolder, removeFolder, startAtlas } from './atlas-process.ts';
import { startLoad } from './load.ts';
import { startPayments } from './payments.ts';

const FAULT_TIMEOUT_MS = 90_000;

/** Makes a worker compute for 200 ms on SIGUSR2, as an expensive request would. */
const STALL = `process.on('SIGUSR2', () => {
  const endMs = performance.now() + 200;
  while (performance.now() < endMs);
});`;

let databaseUrl: string;
let sql: Sql;
let folders: string[];
let hosts: AtlasProcess[];
beforeEach(async () => {
  databaseUrl = await freshDatabase();
  sql = openPostgres({ url: databaseUrl, connectionsMax: 2, timeoutSeconds: 10 });
  folders = [];
  hosts = [];
}, START_TIMEOUT_MS);
afterEach(async () => {
  for (const host of hosts) await host.end('SIGKILL');
  await sql.end();
  for (const folder of folders) await removeFolder(folder);
}, START_TIMEOUT_MS);

/** Starts another host: a supervisor and two workers that share only the database with the others. */
async function startHost(
  prepare: (folder: string) => Promise<unknown> = async () => {},
): Promise<AtlasProcess> {
  const folder = await makeFolder();
  folders.push(folder);
  await prepare(folder);
  const host = await startAtlas(folder, { DATABASE_URL: databaseUrl, API_WORKERS: '2' });
  hosts.push(host);
  return host;
}

/** Starts callers that pay at one host after the other, and retry each payment under its key until it is acknowledged. */
function payAt(all: readonly AtlasProcess[], key: string) {
  const paid = new Set<string>();
  const statuses = new Map(all.map((host) => [host, new Set<number>()]));
  let stopped = false;
  async function pay(): Promise<void> {
    while (!stopped) {
      const reference = crypto.randomUUID();
      const transfer = {
        debitAccountId: DEMO_ACCOUNTS.bank,
        creditAccountId: DEMO_ACCOUNTS.bob,
        amount: 1,
        reference,
      };
      for (let turn = Math.floor(Math.random() * all.length); !paid.has(reference); turn++) {
        const host = all[turn % all.length]!;
        const response = await createClient(host.url, key).post('/v1/transfers', transfer, reference);
        if (response !== null) statuses.get(host)!.add(response.status);
        if (response?.status === 201) paid.add(reference);
      }
    }
  }
  const paying = Promise.all(Array.from({ length: 4 }, pay));
  return {
    paid,
    statusesOf: (host: AtlasProcess) => statuses.get(host)!,
    stop: () => {
      stopped = true;
      return paying;
    },
  };
}

const pidsOf = async ({ pid, status }: AtlasProcess) => [
  pid,
  ...(await status()).slots.flatMap(({ worker }) => worker?.pid ?? []),
];
/** Returns a metric of the host, from any of its workers. */
async function metric({ url }: AtlasProcess, line: RegExp): Promise<number> {
  const text = await (await fetch(`${url}/metrics`, { keepalive: false })).text();
  return Number(line.exec(text)?.[1] ?? 0);
}

test(
  'another host takes over from one that is lost with its relay, and sends its events in order and once',
  async () => {
    const [first, second] = [await startHost(), await startHost()];
    const key = first.key!;
    const leads = (host: AtlasProcess) => metric(host, /^atlas_relay_leading (\d)/m);
    await until(async () => (await leads(first)) === 1);
    expect(await leads(second)).toBe(0);
    const callers = payAt([first, second], key);
    await until(() => callers.paid.size > 200);
    const pids = await pidsOf(first);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await until(() => pids.every((pid) => !isAlive(pid)));
    await until(async () => (await leads(second)) === 1);
    const before = callers.paid.size;
    await until(() => callers.paid.size > before + 200);
    await callers.stop();
    // The remaining host refused nobody.
    expect([...callers.statusesOf(second)]).toEqual([201]);
    await until(async () => (await sql`SELECT FROM outbox LIMIT 1`).length === 0);
    const client = createClient(second.url, key);
    const events = await client.list<ListedEvent>('/v1/events', 'events');
    expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
    for (const [subject, ofKey] of Map.groupBy(events, (event) => event.subject)) {
      // An account is opened with event 0; files begin with event 1.
      const first = ofKey[0]!.type.startsWith('account.') ? 0 : 1;
      expect({ subject, sequences: ofKey.map(({ sequence }) => Number(sequence)) }).toEqual({
        subject,
        sequences: ofKey.map((_, place) => first + place),
      });
    }
    // Each payment has one event per account, whichever host it was sent to, and however often.
    const references = events
      .map(({ data }) => String(data.reference))
      .filter((one) => callers.paid.has(one));
    expect(references.sort()).toEqual([...callers.paid, ...callers.paid].sort());
    const [row] = await sql<[{ versions: number }]>`SELECT sum(version + 1)::int AS versions FROM accounts`;
    expect(events.filter(({ type }) => type.startsWith('account.'))).toHaveLength(row.versions);
    expect(await client.get('/v1/ledger/verification')).toMatchObject({ ok: true, discrepancies: [] });
  },
  FAULT_TIMEOUT_MS,
);

test(
  'a worker with a repeatedly stalled loop disconnects nobody, and the other one serves',
  async () => {
    const host = await startHost(async (folder) => {
      await Bun.write(join(folder, 'stall.ts'), STALL);
      await Bun.write(join(folder, 'bunfig.toml'), 'preload = ["./stall.ts"]');
    });
    const [victim, other] = (await host.status()).slots.map(({ worker }) => worker!.pid);
    const options = { callers: 64, keepAlive: false, headers: { Authorization: `Bearer ${host.key}` } };
    const load = startLoad(host.url, options);
    let stalls = 0;
    const stalling = setInterval(() => {
      if (!isAlive(victim!)) return;
      process.kill(victim!, 'SIGUSR2');
      stalls++;
    }, 300);
    try {
      const succeeded = load.succeeded();
      await until(() => stalls >= 20 && load.succeeded() > succeeded + 1000);
    } finally {
      clearInterval(stalling);
    }
    const { failed } = await load.stop();
    // Nobody is disconnected or ignored: a caller that is not served gets a 429.
    expect(failed.filter((reason) => !reason.startsWith('status 429'))).toEqual([]);
    const { slots } = await host.status();
    expect(slots.map(({ worker, restarts }) => [worker?.pid, restarts])).toEqual([
      [victim, 0],
      [other, 0],
    ]);
    const payments = await startPayments(host.url, host.key!);
    await until(() => payments.acknowledged > 50);
    await payments.settle();
  },
  FAULT_TIMEOUT_MS,
);
