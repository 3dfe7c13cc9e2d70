import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { migrateUp, readMigrations } from '../../../src/adapters/postgres/migrations.ts';
import { withoutSettings } from '../../../src/adapters/postgres/session-settings.ts';
import { BackgroundLoops } from '../../../src/resilience/background-loops.ts';
import { availableEngines, freshDatabase, openTestDatabase } from '../../support/database.ts';
import { uploadFile } from '../../support/file-steps.ts';
import { openAccount, postTransfer } from '../../support/ledger-steps.ts';
import { poolerTo } from '../../support/pooler.ts';
import { callWithoutKey, START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';

const HOSTILE: readonly (readonly [name: string, value: string])[] = [
  ['bytea_output', 'escape'],
  ['datestyle', 'German'],
  ['datestyle', 'SQL, DMY'],
  ['intervalstyle', 'sql_standard'],
  ['timezone', 'Pacific/Chatham'],
  ['extra_float_digits', '-15'],
  ['client_encoding', 'LATIN1'],
  ['search_path', 'hostile'],
  ['standard_conforming_strings', 'off'],
  ['backslash_quote', 'off'],
  ['array_nulls', 'off'],
  ['transform_null_equals', 'on'],
  ['xmloption', 'document'],
  ['quote_all_identifiers', 'on'],
  ['row_security', 'off'],
  ['default_transaction_isolation', 'serializable'],
  ['default_transaction_deferrable', 'on'],
  ['synchronous_commit', 'off'],
  ['statement_timeout', '1ms'],
  ['lock_timeout', '1ms'],
  ['idle_in_transaction_session_timeout', '1ms'],
  ['idle_session_timeout', '1ms'],
  ['exit_on_error', 'on'],
  ['plan_cache_mode', 'force_generic_plan'],
  ['jit_above_cost', '0'],
  ['enable_indexscan', 'off'],
  ['enable_seqscan', 'off'],
  ['enable_hashjoin', 'off'],
  ['enable_sort', 'off'],
  ['enable_partition_pruning', 'off'],
  ['client_min_messages', 'debug5'],
  ['check_function_bodies', 'off'],
  ['default_toast_compression', 'pglz'],
  ['max_parallel_workers_per_gather', '8'],
];
const BACKOFF = { RETRY_MULTIPLIER: 2, RETRY_MIN_WAIT: 0.01, RETRY_MAX_WAIT: 0.1, RETRY_JITTER: false };
const IDS = /[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/g;
const VOLATILE = /"(?:\w*At|cursor|nextCursor|time|sequence|position|requestId|secret)":"[^"]*"/g;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atlas-settings-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Changes settings of the database or of its user, as an operator would, from another database. */
async function alter(url: string, settings: typeof HOSTILE, ofRole = false): Promise<void> {
  const admin = postgres(Object.assign(new URL(url), { pathname: '/postgres' }).href, { max: 1 });
  const database = new URL(url).pathname.slice(1);
  const what = ofRole ? `ROLE atlas IN DATABASE ${database}` : `DATABASE ${database}`;
  for (const [name, value] of settings) await admin.unsafe(`ALTER ${what} SET ${name} = '${value}'`);
  await admin.end();
}

/** A schema with the names of Atlas's tables, and other content. */
async function addHostileSchema(url: string): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  await sql.unsafe(`CREATE SCHEMA hostile; CREATE TABLE hostile.schema_migrations (version text);
    CREATE TABLE hostile.api_keys (id text); CREATE TABLE hostile.accounts (id uuid, owner text)`);
  await sql.end();
}

/** Uses every part of Atlas, and returns what it said, without what differs from run to run. */
async function useEverything(url: string): Promise<string[]> {
  const atlas = await startTestApp({
    DATABASE_URL: url,
    ATLAS_DATA_DIR: folder,
    WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1',
    DATABASE_TIMEOUT: '20',
  });
  const loops = new BackgroundLoops(atlas.loops, BACKOFF, () => {});
  loops.start();
  try {
    await atlas.deps.database.requireSession();
    return (await conversation(atlas)).map((text) => text.replace(IDS, 'ID').replace(VOLATILE, '"at":"T"'));
  } finally {
    await loops.stop();
    await atlas.close();
  }
}

async function conversation(atlas: TestApp): Promise<string[]> {
  const said: string[] = [];
  const say = async (method: string, path: string, options: Parameters<TestApp['call']>[2] = {}) => {
    const response = await atlas.call(method, path, options);
    const text = await response.text();
    said.push(`${method} ${path.replace(IDS, 'ID')} ${response.status} ${text}`);
    return text;
  };
  const expiresAt = new Date('2030-02-03T04:05:06.007Z');
  const { token, id } = await atlas.keys.create({
    owner: 'o\\\'"{}',
    name: 'Ж null',
    scopes: ['ping:read'],
    expiresAt,
  });
  const listed = (await atlas.keys.list()).find((key) => key.id === id)!;
  said.push(JSON.stringify([listed.owner, listed.name, listed.scopes, listed.expiresAt]));
  const headers = { Authorization: `Bearer ${token}` };
  await say('GET', '/v1/ping', { headers });
  const bank = await openAccount(atlas, {
    name: 'NULL',
    metadata: { a: '\\x41', b: "'; --", c: 'null', d: 'Ж 日本' },
  });
  const shop = await openAccount(atlas, { name: 'back\\slash "quoted" {a,b}', kind: 'income' });
  const transfer = {
    debitAccountId: bank.id,
    creditAccountId: shop.id,
    amount: 9_007_199_254_740,
    reference: 'null',
  };
  said.push(await (await postTransfer(atlas, transfer)).text());
  const batch = {
    transfers: [
      { ...transfer, amount: 1 },
      { ...transfer, amount: 2, reference: '\\' },
    ],
  };
  await say('POST', '/v1/transfers/batch', { json: batch, headers: { 'Idempotency-Key': `k-${bank.id}` } });
  await say('POST', '/v1/transfers/batch', { json: batch, headers: { 'Idempotency-Key': `k-${bank.id}` } });
  for (const { id: account } of [bank, shop]) await say('GET', `/v1/accounts/${account}`);
  await say('GET', '/v1/accounts?limit=1');
  await say('GET', `/v1/accounts/${shop.id}/transfers`);
  const verified = await atlas.call('GET', '/v1/operator/ledger/verification');
  expect(verified.status).toBe(200);
  said.push(await verified.text());
  const file = await uploadFile(atlas, 'the bytes of a file', { 'Content-Type': 'text/plain' });
  await say('GET', `/v1/files/${file.id}/content`);
  await say('GET', '/v1/files');
  await until(async () => {
    const { events } = (await (await atlas.call('GET', '/v1/events')).json()) as { events: unknown[] };
    return events.length === 9;
  });
  const page = (await (await atlas.call('GET', '/v1/events')).json()) as {
    events: Record<string, unknown>[];
  };
  // Events of different keys are in no particular order.
  said.push(
    ...page.events.map(({ key, ...event }) => JSON.stringify({ ...event, key: key === bank.id })).toSorted(),
  );
  const { unsent, parkedKeys, lastPosition } = await atlas.features.events.relay.status();
  said.push(JSON.stringify({ unsent, parkedKeys, lastPosition }));
  await say('POST', '/v1/webhooks', { json: { url: 'http://127.0.0.1:1/hook' } });
  await say('GET', '/v1/webhooks');
  const ready = await callWithoutKey(atlas, 'GET', '/health/ready');
  said.push(`ready ${ready.status} ${await ready.text()}`);
  return said;
}

describe.each(availableEngines())('on the %s PostgreSQL', (engine) => {
  let usual: string[];
  beforeAll(async () => {
    usual = await useEverything(await freshDatabase(engine));
  }, START_TIMEOUT_MS);

  test('what Atlas says does not differ from run to run, and is a success', async () => {
    expect(await useEverything(await freshDatabase(engine))).toEqual(usual);
    expect(usual.filter((line) => /^[A-Z]+ \/\S+ [345]/.test(line))).toEqual([]);
    expect(usual.at(-1)).toBe('ready 200 {"ready":true,"reasons":[]}');
  });

  test(
    'all of them together, of the user, change nothing',
    async () => {
      const url = await freshDatabase(engine);
      await addHostileSchema(url);
      await alter(url, HOSTILE, true);
      expect(await useEverything(url)).toEqual(usual);
    },
    START_TIMEOUT_MS,
  );

  test(
    'a database with all of them is migrated as any other',
    async () => {
      const admin = postgres(
        Object.assign(new URL(await freshDatabase(engine)), { pathname: '/postgres' }).href,
        { max: 1 },
      );
      const name = `settings_${process.pid}_${engine}`;
      await admin.unsafe(`CREATE DATABASE ${name} TEMPLATE template0`);
      const url = Object.assign(new URL(await freshDatabase(engine)), { pathname: `/${name}` }).href;
      await admin.end();
      await addHostileSchema(url);
      await alter(url, HOSTILE);
      const database = openTestDatabase(url);
      await migrateUp(database, await readMigrations());
      await database.end();
      expect(await useEverything(url)).toEqual(usual);
    },
    START_TIMEOUT_MS,
  );

  test('parameters of DATABASE_URL do not replace what Atlas relies on, except the search path', async () => {
    const url = await freshDatabase(engine);
    expect(await useEverything(`${url}?DateStyle=German&bytea_output=escape&statement_timeout=1`)).toEqual(
      usual,
    );
    const database = openTestDatabase(`${url}?search_path=hostile`);
    const [row] = await database.query((sql) => sql`SELECT current_setting('search_path') AS path`);
    expect(row!.path).toBe('hostile');
    await database.end();
  });

  test('a pooler that drops the settings of a session is refused, and readiness notices what it changes', async () => {
    const url = await freshDatabase(engine);
    const pooler = await poolerTo(url);
    const database = openTestDatabase(pooler.url);
    await alter(url, [['bytea_output', 'escape']]);
    const atlas = await startTestApp({ DATABASE_URL: pooler.url });
    await expect(database.requireSession()).rejects.toThrow(
      /^PostgreSQL ignores settings that Atlas relies on\.\n {2}why: {2}bytea_output is escape instead of hex,.* a pooler .*\n {2}do: {3}set DATABASE_URL/,
    );
    const ready = await callWithoutKey(atlas, 'GET', '/health/ready');
    expect({ status: ready.status, body: await ready.json() }).toEqual({
      status: 503,
      body: { ready: false, reasons: ['requests cannot read the database'] },
    });
    await atlas.close();
    await database.end();
    pooler.stop();
  });

  test('a user without privileges may have all the settings', async () => {
    const url = await freshDatabase(engine);
    const sql = postgres(url, { max: 1 });
    const user = `plain_${process.pid}_${engine}`;
    await sql.unsafe(`CREATE ROLE ${user} LOGIN PASSWORD 'plain'`);
    const database = openTestDatabase(
      Object.assign(new URL(url), { username: user, password: 'plain' }).href,
    );
    await database.requireSession();
    await database.end();
    await sql.end();
  });

  test('a level of durability may be chosen in DATABASE_URL, but not none', async () => {
    const url = await freshDatabase(engine);
    for (const [level, accepted] of [
      ['remote_apply', true],
      ['local', true],
      ['off', false],
    ] as const) {
      const database = openTestDatabase(`${url}?synchronous_commit=${level}`);
      const checked = database.requireSession().then(
        () => true,
        () => false,
      );
      expect([level, await checked]).toEqual([level, accepted]);
      await database.end();
    }
  });

  test('settings that no session can change are refused with why and what to do', async () => {
    const url = await freshDatabase(engine);
    await alter(url, [['session_replication_role', 'replica']]);
    const database = openTestDatabase(url);
    await expect(database.requireSession()).rejects.toThrow(
      /why: {2}session_replication_role is replica.*\n {2}do: {3}remove it: ALTER DATABASE/,
    );
    await database.end();
  });
});

describe('on the embedded PostgreSQL, one of the database', () => {
  let usual: string[];
  beforeAll(async () => {
    usual = await useEverything(await freshDatabase());
  }, 60_000);
  test.each(HOSTILE)('%s = %s changes nothing', async (name, value) => {
    const url = await freshDatabase();
    await addHostileSchema(url);
    await alter(url, [[name, value]]);
    expect(await useEverything(url)).toEqual(usual);
  });
});

test('only parameters that replace a setting are removed from a URL', () => {
  const url = 'postgres://me:p%3Fw@host/db';
  expect(withoutSettings(url)).toBe(url);
  expect(withoutSettings(`${url}?sslmode=require&TIMEZONE=CET`)).toBe(`${url}?sslmode=require`);
  expect(withoutSettings(`${url}?jit=on`)).toBe(url);
  expect(withoutSettings(`${url}?search_path=a,b`)).toBe(`${url}?search_path=a,b`);
});
