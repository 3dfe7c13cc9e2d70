import { describe, expect, test } from 'bun:test';
import { copyFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  appliedMigrations,
  MIGRATIONS_DIR,
  type Migration,
  migrateDown,
  migrateUp,
  readMigrations,
} from '../../../src/adapters/postgres/migrations.ts';
import { databaseErrorCode, openPostgres, type Sql } from '../../../src/adapters/postgres/postgres.ts';
import { readSqlFunctions } from '../../../src/adapters/postgres/sql-functions.ts';
import { availableEngines } from '../../support/database.ts';
import { until } from '../../support/until.ts';
import { SLOW_TEST_MS, withDatabase } from '../ledger/ledger-database.ts';

/** Returns everything that migrations create, as text: columns, constraints, indexes, triggers and functions. */
async function schemaOf(sql: Sql): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    SELECT format('column %s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default) AS line
      FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT format('constraint %s %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = 'public'::regnamespace AND NOT t.tgisinternal
    UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    ORDER BY 1`;
  return rows.map(({ line }) => line);
}

const broken = (number: number, up: string): Migration => ({ number, name: 'broken', up, down: '' });

describe.each(availableEngines())('migrations on the %s PostgreSQL', (engine) => {
  test(
    'lead to the same schema after up, down and up, and leave nothing behind after down',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const migrations = await readMigrations();
        const before = await schemaOf(sql);
        expect(before.length).toBeGreaterThan(30);
        const undone = await migrateDown(sql, migrations, migrations.length);
        expect(undone.map(({ number }) => number)).toEqual(
          migrations.map(({ number }) => number).toReversed(),
        );
        const left = (await schemaOf(sql)).filter((line) => !line.includes('schema_migrations'));
        expect(left).toEqual([]);
        expect(await appliedMigrations(db)).toBe(0);
        expect(await migrateUp(sql, migrations)).toEqual({ migrations, functions: await readSqlFunctions() });
        expect(await schemaOf(sql)).toEqual(before);
        expect(await migrateUp(sql, migrations)).toEqual({ migrations: [], functions: [] });
      }),
    SLOW_TEST_MS,
  );

  test(
    'are reverted one at a time by default',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const migrations = await readMigrations();
        expect(await migrateDown(sql, migrations)).toEqual([migrations.at(-1)!]);
        expect(await appliedMigrations(db)).toBe(migrations.length - 1);
        expect((await migrateUp(sql, migrations)).migrations).toEqual([migrations.at(-1)!]);
      }),
    SLOW_TEST_MS,
  );

  test(
    'are not reverted by a release that does not have the newest one',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const migrations = await readMigrations();
        const older = migrateDown(sql, migrations.slice(0, -1));
        await expect(older).rejects.toThrow(/^Nothing was reverted\.\n {2}why: .*\n {2}do: /);
        expect(await appliedMigrations(db)).toBe(migrations.length);
        expect(await migrateUp(sql, migrations)).toEqual({ migrations: [], functions: [] });
      }),
    SLOW_TEST_MS,
  );

  test(
    'reject a file that was changed after it was applied, before anything else is applied',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const migrations = await readMigrations();
        const changed = migrations.map((migration, i) =>
          i === 0 ? { ...migration, up: `${migration.up} ` } : migration,
        );
        const next = {
          number: migrations.length + 1,
          name: 'next',
          up: 'CREATE TABLE next (id int)',
          down: '',
        };
        await expect(migrateUp(sql, [...changed, next])).rejects.toThrow('was changed after it was applied');
        expect(await appliedMigrations(db)).toBe(migrations.length);
        const [table] = await sql`SELECT to_regclass('next') AS name`;
        expect(table!.name).toBeNull();
      }),
    SLOW_TEST_MS,
  );

  test(
    'that fail leave nothing behind, and keep earlier ones',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const migrations = await readMigrations();
        const number = migrations.length + 1;
        const script = 'CREATE TABLE half (id int); INSERT INTO half VALUES (1); SELECT * FROM nowhere;';
        const failed = await migrateUp(sql, [...migrations, broken(number, script)]).catch(
          (error: Error) => error,
        );
        expect(failed).toBeInstanceOf(Error);
        expect((failed as Error).message).toMatch(
          /^Migration \d+ \(broken\) failed and was rolled back\.\n {2}why: .*nowhere.*\n {2}do: /,
        );
        expect(await appliedMigrations(db)).toBe(migrations.length);
        const [table] = await sql`SELECT to_regclass('half') AS name`;
        expect(table!.name).toBeNull();
        expect(await migrateUp(sql, migrations)).toEqual({ migrations: [], functions: [] });
      }),
    SLOW_TEST_MS,
  );

  test(
    'that lose their connection fail with that error, and can be restarted',
    () =>
      withDatabase(engine, async (sql, url) => {
        const migrations = await readMigrations();
        const one = openPostgres({ url, connectionsMax: 1, timeoutSeconds: 20 });
        const endless = broken(migrations.length + 1, 'CREATE TABLE half (id int); SELECT pg_sleep(60)');
        const lost = migrateUp(one, [...migrations, endless]).catch((error) => error);
        const kill = () => sql`
          SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE wait_event = 'PgSleep' AND datname = current_database()`;
        await until(async () => (await kill()).length > 0);
        expect(databaseErrorCode(await lost)).toMatch(/^(CONNECTION_CLOSED|ECONNRESET)$/);
        expect(await migrateUp(sql, migrations)).toEqual({ migrations: [], functions: [] });
        const [table] = await sql`SELECT to_regclass('half') AS name`;
        expect(table!.name).toBeNull();
        await one.end({ timeout: 1 });
      }),
    SLOW_TEST_MS,
  );

  test(
    'that two processes start at the same time are applied once',
    () =>
      withDatabase(engine, async (sql, url) => {
        const migrations = await readMigrations();
        await migrateDown(sql, migrations, migrations.length);
        await sql`DROP TABLE schema_migrations`;
        const other = openPostgres({ url, connectionsMax: 2, timeoutSeconds: 20 });
        const applied = await Promise.all([migrateUp(sql, migrations), migrateUp(other, migrations)]);
        expect(applied.map((upgrade) => upgrade.migrations.length).sort()).toEqual([0, migrations.length]);
        await other.end();
      }),
    SLOW_TEST_MS,
  );

  test(
    'may take longer than a request, and release the connection with the limits of requests',
    () =>
      withDatabase(engine, async (_sql, url) => {
        const one = openPostgres({ url, connectionsMax: 1, timeoutSeconds: 0.2 });
        const migrations = await readMigrations();
        await migrateUp(one, [...migrations, broken(migrations.length + 1, 'SELECT pg_sleep(0.4)')]);
        const [setting] = await one`SHOW statement_timeout`;
        expect(setting!.statementTimeout).toBe('200ms');
        await one.end();
      }),
    SLOW_TEST_MS,
  );
});

describe('the folder of migrations is refused when', () => {
  async function withCopy(work: (folder: string, files: string[]) => Promise<void>): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'atlas-migrations-'));
    const files = await readdir(MIGRATIONS_DIR);
    for (const file of files) await copyFile(join(MIGRATIONS_DIR, file), join(folder, file));
    await work(folder, files);
    await rm(folder, { recursive: true });
  }

  test('a number is missing', () =>
    withCopy(async (folder) => {
      for (const way of ['up', 'down']) await writeFile(join(folder, `0099_late.${way}.sql`), '');
      await expect(readMigrations(folder)).rejects.toThrow('0099_late.up.sql should have the number');
    }));

  test('a down file is missing', () =>
    withCopy(async (folder, files) => {
      await rm(join(folder, files.find((file) => file.endsWith('.down.sql'))!));
      await expect(readMigrations(folder)).rejects.toThrow('.down.sql');
    }));
});
