import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { requireCoreTables } from '../../../src/adapters/postgres/core-tables.ts';
import type { Database } from '../../../src/adapters/postgres/database.ts';
import { migrateUp, readMigrations } from '../../../src/adapters/postgres/migrations.ts';
import { openPostgres, type Sql } from '../../../src/adapters/postgres/postgres.ts';
import { freshDatabase, openTestDatabase } from '../../support/database.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';

let url: string;
let owner: Sql;
let db: Database;
beforeAll(async () => {
  url = await freshDatabase();
  owner = openPostgres({ url, connectionsMax: 1, timeoutSeconds: 10 });
  db = openTestDatabase(url);
  await migrateUp(db, await readMigrations());
}, START_TIMEOUT_MS);
afterAll(async () => {
  await Promise.all([db.end({ timeout: 1 }), owner.end({ timeout: 1 })]);
});

const run = (text: string, on = db) => on.query((sql) => sql.unsafe<{ one?: number }[]>(text));
const errorOf = (work: Promise<unknown>) =>
  work.then(
    () => null,
    (error: unknown) => error,
  );

/** Runs work as a role without any privilege, on its own database connection. */
async function asStranger(work: (stranger: Database) => Promise<void>): Promise<void> {
  const role = `stranger_${process.pid}`;
  await owner.unsafe(`CREATE ROLE ${role} LOGIN PASSWORD 'right'`);
  const asRole = new URL(url);
  asRole.username = role;
  asRole.password = 'right';
  const stranger = openTestDatabase(asRole.href);
  try {
    await work(stranger);
  } finally {
    await stranger.end({ timeout: 1 });
    await owner.unsafe(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
}

describe('what only an operator can fix', () => {
  test.each([
    ['a missing table', 'SELECT * FROM no_such_table', '42P01', 'npm run migrate'],
    ['a missing schema', 'CREATE TABLE no_such_schema.t (a int)', '3F000', 'npm run migrate'],
    ['a missing function', 'SELECT no_such_function(1)', '42883', 'npm run migrate'],
  ])(
    '%s is a dependency that is unavailable, with what to do for the log only',
    async (_, sql, code, remedy) => {
      expect(await errorOf(run(sql))).toMatchObject({
        code: 'dependency_unavailable',
        message: 'PostgreSQL is not set up for this request.',
        cause: { code },
        remedy: expect.stringContaining(remedy),
        retryAfterSeconds: 10,
      });
    },
  );

  test('a missing privilege names the role and what to grant', () =>
    asStranger(async (stranger) => {
      expect(await errorOf(run('SELECT * FROM accounts', stranger))).toMatchObject({
        code: 'dependency_unavailable',
        cause: { code: '42501', message: expect.stringContaining('accounts') },
        remedy: expect.stringMatching(/GRANT .* TO "stranger_\d+"/),
      });
    }));

  test('a rejected login names the role', async () => {
    const wrong = new URL(url);
    wrong.username = 'nobody_at_all';
    const rejected = openTestDatabase(wrong.href);
    expect(await errorOf(run('SELECT 1', rejected))).toMatchObject({
      code: 'dependency_unavailable',
      cause: { code: expect.stringMatching(/^28/) },
      remedy: expect.stringMatching(/DATABASE_URL.*"nobody_at_all"/),
    });
    expect(rejected.dependency.state).toBe('closed');
    await rejected.end({ timeout: 1 });
  });

  test('a missing database says so', async () => {
    const wrong = new URL(url);
    wrong.pathname = '/no_such_database';
    const missing = openTestDatabase(wrong.href);
    expect(await errorOf(run('SELECT 1', missing))).toMatchObject({
      code: 'dependency_unavailable',
      cause: { code: '3D000' },
      remedy: expect.stringContaining('Create the database'),
    });
    await missing.end({ timeout: 1 });
  });

  test('a mistake in a query of Atlas is not: it stays an unexpected error', async () => {
    for (const sql of ['SELECT no_such_column FROM accounts', 'SELEC 1', "SELECT 1 + 'a'::bytea"])
      expect(await errorOf(run(sql))).not.toHaveProperty('remedy');
  });
});

test('a table that fails does not stop queries of others: the breaker stays closed', async () => {
  for (let i = 0; i < 50; i++) {
    const failed = await Promise.all(
      Array.from({ length: 10 }, () => errorOf(run('SELECT * FROM no_such_table'))),
    );
    expect(failed).toEqual(Array(10).fill(expect.objectContaining({ code: 'dependency_unavailable' })));
    expect(db.dependency.state).toBe('closed');
  }
  expect(await run('SELECT 1 AS one')).toMatchObject([{ one: 1 }]);
  const transaction = () =>
    errorOf(db.transaction(async (tx) => tx.query((sql) => sql`SELECT * FROM no_such_table`)));
  for (let i = 0; i < 20; i++) expect(await transaction()).toMatchObject({ code: 'dependency_unavailable' });
  expect(db.dependency.state).toBe('closed');
  expect(db.dependency.stats().outcomes).toMatchObject({ failure: 0, refused_open: 0 });
});

describe('the core tables', () => {
  test('can be used after the migrations', () => requireCoreTables(db));

  test('that are missing are named, with what to do', async () => {
    await owner`ALTER TABLE outbox RENAME TO elsewhere`;
    expect(await errorOf(requireCoreTables(db))).toMatchObject({
      code: 'dependency_unavailable',
      message: 'Core tables are missing: outbox.',
      remedy: expect.stringContaining('npm run migrate'),
    });
    await owner`ALTER TABLE elsewhere RENAME TO outbox`;
    await requireCoreTables(db);
  });

  test('without a privilege that posting needs are named, with the role', () =>
    asStranger(async (stranger) => {
      const read = 'api_keys, organizations, quotas, transfer_id_secret';
      await owner.unsafe(`GRANT SELECT ON ${read} TO stranger_${process.pid}`);
      for (const table of ['accounts', 'transfers', 'idempotency_keys', 'outbox'])
        await owner.unsafe(`GRANT SELECT, INSERT ON ${table} TO stranger_${process.pid}`);
      await owner.unsafe(`GRANT SELECT, UPDATE ON limits TO stranger_${process.pid}`);
      expect(await errorOf(requireCoreTables(stranger))).toMatchObject({
        message: 'Privileges are missing: UPDATE on accounts.',
        remedy: expect.stringContaining(`"stranger_${process.pid}"`),
      });
      await owner.unsafe(`GRANT UPDATE ON accounts TO stranger_${process.pid}`);
      await requireCoreTables(stranger);
    }));
});
