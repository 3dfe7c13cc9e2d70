import { afterEach, beforeEach, expect, test } from 'bun:test';
import { createServer } from 'node:net';
import { DEMO_ACCOUNTS } from '../../src/utils/demo-data.ts';
import { createClient } from '../support/atlas-client.ts';
import { isAvailable } from '../support/is-available.ts';
import type { AccountResource, TransferResource } from '../support/ledger-steps.ts';
import {
  type AtlasProcess,
  killPostgres,
  makeFolder,
  postgresPid,
  removeFolder,
  runAtlas,
  startAtlas,
} from './atlas-process.ts';

const START_TIMEOUT_MS = 60_000;
const { bank: BANK, bob: BOB } = DEMO_ACCOUNTS;

let folder: string;
let running: AtlasProcess[];
beforeEach(async () => {
  folder = await makeFolder();
  running = [];
});
afterEach(async () => {
  for (const atlas of running) await atlas.end('SIGKILL');
  await removeFolder(folder);
});

async function serve(settings: Record<string, string> = {}): Promise<AtlasProcess> {
  const atlas = await startAtlas(folder, settings);
  running.push(atlas);
  return atlas;
}

test(
  'the first start shows what runs where, and its curl line moves money when pasted into a shell',
  async () => {
    const atlas = await serve();
    const { port } = new URL(atlas.url);
    expect(atlas.output()).toContain(`docs         http://127.0.0.1:${port}/docs`);
    expect(atlas.output()).toContain('PostgreSQL   embedded');
    expect(atlas.output()).toMatch(/workers {6}\d+/);
    expect(atlas.output()).toMatch(/limits {7}\d+ requests in flight/);
    expect(atlas.output().match(/shown only once/g)).toHaveLength(1);
    expect((await fetch(`${atlas.url}/docs`)).status).toBe(200);

    const line = /^ +(curl .*\/v1\/transfers .*)$/m.exec(atlas.output())?.[1];
    expect(line).toBeString();
    if (!isAvailable('curl', Bun.which('curl'))) return;
    const shell = Bun.spawn(['sh', '-c', line!], { stdout: 'pipe' });
    const transfer = (await new Response(shell.stdout).json()) as TransferResource;
    expect(transfer).toMatchObject({ amount: 1250, creditAccountId: BOB });
    const bob = await createClient(atlas.url, atlas.key!).get<AccountResource>(`/v1/accounts/${BOB}`);
    expect(bob.balance).toBe(101_250);
  },
  START_TIMEOUT_MS,
);

test(
  'after kill -9 of everything, the next start has the same balances and prints no key',
  async () => {
    const first = await serve();
    const client = createClient(first.url, first.key!);
    const transfer = { debitAccountId: BANK, creditAccountId: BOB, amount: 77 };
    expect((await client.post('/v1/transfers', transfer, 'a'))!.status).toBe(201);
    const before = await client.list<AccountResource>('/v1/accounts', 'accounts');
    const postgres = await postgresPid(folder);
    expect(postgres).toBeNumber();
    await first.end('SIGKILL');
    await killPostgres(folder);

    const second = await serve();
    expect(await postgresPid(folder)).not.toBe(postgres);
    expect(second.key).toBeNull();
    expect(second.output()).not.toContain('atlas_live_');
    expect(second.output()).not.toContain('creating the embedded PostgreSQL');
    const again = createClient(second.url, first.key!);
    expect(await again.list<AccountResource>('/v1/accounts', 'accounts')).toEqual(before);
    expect(await again.get<object>('/v1/ledger/verification')).toMatchObject({ ok: true, discrepancies: [] });
  },
  START_TIMEOUT_MS,
);

test(
  'a start takes over the PostgreSQL that a killed Atlas left behind',
  async () => {
    const first = await serve();
    const postgres = await postgresPid(folder);
    await first.end('SIGKILL');
    expect(await postgresPid(folder)).toBe(postgres);
    const second = await serve();
    expect(await postgresPid(folder)).toBe(postgres);
    expect((await second.end('SIGTERM')).code).toBe(0);
    expect(await postgresPid(folder)).toBeNull();
  },
  START_TIMEOUT_MS,
);

test('an invalid setting stops the start with what is wrong, why, and what to do', async () => {
  const { code, stdout, stderr } = await runAtlas(folder, ['serve'], { API_PORT: 'eighty' });
  expect(code).toBe(1);
  expect(stdout).toBe('');
  expect(stderr).toContain('API_PORT="eighty" (from the environment)');
  expect(stderr).toMatch(/why: +\S/);
  expect(stderr).toMatch(/do: +use a whole number from 0 to 65535/);
  expect(await postgresPid(folder)).toBeNull();
});

test(
  'a port in use stops the start with a clear error, and leaves no PostgreSQL running',
  async () => {
    const taken = createServer();
    await new Promise<void>((listening) => taken.listen(0, '127.0.0.1', listening));
    const { port } = taken.address() as { port: number };
    const { code, stderr } = await runAtlas(folder, ['serve'], { API_PORT: String(port) });
    taken.close();
    expect(code).toBe(1);
    expect(stderr).toContain(`Atlas cannot listen on 127.0.0.1:${port}.`);
    expect(stderr).toMatch(/do: +stop the process that uses the port, or set API_PORT/);
    expect(await postgresPid(folder)).toBeNull();
    // The next start still counts as the first: its key was not created and lost before.
    expect((await serve()).key).toStartWith('atlas_live_');
  },
  START_TIMEOUT_MS,
);

test(
  'SIGTERM under load lets every sent request finish, stops PostgreSQL and exits with 0',
  async () => {
    const atlas = await serve({ API_WORKERS: '2' });
    const client = createClient(atlas.url, atlas.key!);
    let completed = 0;
    let signalledMs = Number.POSITIVE_INFINITY;
    const statuses = new Set<number>();
    const lostBefore: number[] = [];
    const callers = Array.from({ length: 64 }, async (_, caller) => {
      for (let i = 0; ; i++) {
        const sentMs = performance.now();
        const transfer = { debitAccountId: BANK, creditAccountId: BOB, amount: 1 };
        const response = await client.post('/v1/transfers', transfer, `${caller}-${i}`);
        if (response === null) {
          if (sentMs < signalledMs) lostBefore.push(sentMs);
          return;
        }
        statuses.add(response.status);
        if (++completed === 2000) {
          signalledMs = performance.now();
          void atlas.end('SIGTERM');
        }
      }
    });
    await Promise.all(callers);
    const { code } = await atlas.end('SIGTERM');
    expect(completed).toBeGreaterThan(2000);
    expect([...statuses]).toEqual([201]);
    expect(lostBefore).toEqual([]);
    expect(code).toBe(0);
    expect(atlas.output()).toContain('stopped');
    expect(await postgresPid(folder)).toBeNull();
  },
  START_TIMEOUT_MS,
);

test(
  'the key is in no log, at any level, whatever the request',
  async () => {
    const atlas = await serve({ ENVIRONMENT: 'staging', LOG_LEVEL: 'trace' });
    const key = atlas.key!;
    await createClient(atlas.url, key).get('/v1/ping');
    await fetch(`${atlas.url}/v1/ping?key=${key}`, {
      headers: { Authorization: `Bearer ${key}`, 'X-Request-ID': key },
    });
    await fetch(`${atlas.url}/v1/accounts/${key}`, { headers: { Authorization: `Bearer ${key}x` } });
    const { stdout, stderr } = await atlas.end('SIGTERM');
    const [secret] = key.split('_').slice(-1);
    const logs = `${stdout}${stderr}`.split('\n').filter((line) => line.startsWith('{'));
    expect(logs.length).toBeGreaterThan(2);
    expect(logs.join('\n')).not.toContain(secret!);
  },
  START_TIMEOUT_MS,
);
