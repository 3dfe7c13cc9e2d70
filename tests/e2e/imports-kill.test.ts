import { afterEach, beforeEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import { openPostgres, type Sql } from '../../src/adapters/postgres/postgres.ts';
import { freshDatabase } from '../support/database.ts';
import { toNdjson } from '../support/import-steps.ts';
import { START_TIMEOUT_MS } from '../support/test-app.ts';
import { until } from '../support/until.ts';
import { makeFolder, removeFolder, runAtlas, startAtlas, succeedAtlas } from './atlas-process.ts';

const TIMEOUT_MS = 240_000;
const TRANSFERS = 30_000;
const KILLS = 3;
const BANK = Bun.randomUUIDv7();
const ALICE = Bun.randomUUIDv7();

let folder: string;
let settings: Record<string, string>;
let sql: Sql;
beforeEach(async () => {
  folder = await makeFolder();
  const url = await freshDatabase();
  settings = { DATABASE_URL: url, API_WORKERS: '2', ENVIRONMENT: 'production' };
  sql = openPostgres({ url, connectionsMax: 1, timeoutSeconds: 10 });
}, START_TIMEOUT_MS);
afterEach(async () => {
  await sql.end();
  await removeFolder(folder);
});

/** Every line has an amount of its own, so that each that is missing or there twice shows. Every tenth is refused. */
function fileOf(): string {
  const accounts = [
    { type: 'account', id: BANK, ledger: 'EUR', allowNegative: true },
    { type: 'account', id: ALICE, ledger: 'EUR' },
  ];
  const transfers = Array.from({ length: TRANSFERS }, (_, i) => ({
    type: 'transfer',
    debitAccountId: BANK,
    creditAccountId: i % 10 === 9 ? BANK : ALICE,
    amount: i + 1,
  }));
  return toNdjson([...accounts, ...transfers]);
}

interface Row {
  readonly state: string;
  readonly position: number;
  readonly posted: number;
  readonly refused: number;
}

async function importRow(): Promise<Row | undefined> {
  const [row] = await sql<
    Row[]
  >`SELECT state, position::int, posted::int, refused::int FROM imports WHERE owner = 'owner'`;
  return row;
}

/** Waits until more lines are posted than before. */
async function untilPosted(more: number): Promise<void> {
  await until(async () => ((await importRow())?.posted ?? 0) > more, { deadlineMs: TIMEOUT_MS });
}

/** What must be true however often the process was killed. */
async function expectOnce(): Promise<void> {
  const amounts = await sql<
    { amount: number }[]
  >`SELECT amount::int AS amount FROM transfers ORDER BY amount`;
  const expected = Array.from({ length: TRANSFERS }, (_, i) => i + 1).filter((_, i) => i % 10 !== 9);
  expect(amounts.map(({ amount }) => amount)).toEqual(expected);
  expect(await importRow()).toMatchObject({
    state: 'done',
    posted: expected.length + 2,
    refused: TRANSFERS / 10,
  });
  const refused = await sql<{ line: number }[]>`SELECT line::int FROM import_refusals ORDER BY line`;
  expect(refused.map(({ line }) => line)).toEqual(
    Array.from({ length: TRANSFERS / 10 }, (_, i) => 12 + 10 * i),
  );
  const [alice] = await sql<{ balance: number }[]>`
    SELECT (credits_posted - debits_posted)::int AS balance FROM accounts WHERE id = ${ALICE}`;
  expect(alice!.balance).toBe(expected.reduce((sum, amount) => sum + amount, 0));
}

test(
  'a server that is killed again and again during an import posts every line once',
  async () => {
    const token = (
      await succeedAtlas(folder, ['key', 'create', '--name', 'import', '--owner', 'owner'], settings)
    ).trim();
    let fileId = '';
    let posted = 0;
    for (let kills = 0; ; kills++) {
      const atlas = await startAtlas(folder, settings);
      const call = (path: string, init: RequestInit) =>
        fetch(`${atlas.url}${path}`, {
          ...init,
          headers: { ...init.headers, Authorization: `Bearer ${token}` },
        });
      if (fileId === '') {
        const file = await call('/v1/files?name=a', {
          method: 'POST',
          body: fileOf(),
          headers: { 'Content-Type': 'text/plain' },
        });
        fileId = ((await file.json()) as { id: string }).id;
        const body = JSON.stringify({ fileId, format: 'ndjson' });
        const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': 'one' };
        // A server that has just started on a busy machine may shed a request; its key makes a retry safe.
        const created = async () =>
          (await call('/v1/imports', { method: 'POST', body, headers })).status === 202;
        await until(created, { deadlineMs: START_TIMEOUT_MS });
      }
      if (kills === KILLS) {
        await until(async () => (await importRow())?.state === 'done', { deadlineMs: TIMEOUT_MS });
        await atlas.end('SIGTERM');
        break;
      }
      await untilPosted(posted);
      await atlas.end('SIGKILL');
      posted = (await importRow())!.posted;
      expect(posted).toBeLessThan(TRANSFERS);
    }
    await expectOnce();
  },
  TIMEOUT_MS,
);

test(
  'a command that is killed is resumed where it was, prints the report, and exits with 1 for refused lines',
  async () => {
    await succeedAtlas(folder, ['key', 'create', '--name', 'import', '--owner', 'owner'], settings);
    const path = join(folder, 'lines.ndjson');
    await Bun.write(path, fileOf());
    const command = ['import', path, '--organization', 'owner'];
    const killed = Bun.spawn([process.execPath, 'src/main.ts', ...command], {
      env: { ...process.env, ...settings, ATLAS_DATA_DIR: join(folder, 'data') },
      stdio: ['ignore', 'ignore', 'ignore'],
    });
    await untilPosted(0);
    killed.kill('SIGKILL');
    await killed.exited;
    expect((await importRow())!.state).toBe('posting');

    const refusedNew = await runAtlas(folder, command, settings);
    expect([refusedNew.code, refusedNew.stderr]).toEqual([1, expect.stringContaining('--resume')]);
    const resumed = await runAtlas(folder, [...command, '--resume'], settings);
    expect(resumed.code).toBe(1);
    expect(resumed.stdout).toContain(`Refused lines: ${path}.refused.ndjson`);
    const report = (await Bun.file(`${path}.refused.ndjson`).text()).trimEnd().split('\n');
    expect(JSON.parse(report[0]!)).toMatchObject({ line: 12, code: 'same_account' });
    await expectOnce();

    const again = await runAtlas(folder, [...command, '--resume'], settings);
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('no unfinished import')]);
  },
  TIMEOUT_MS,
);
