import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { migrateUp, readMigrations } from '../../../src/adapters/postgres/migrations.ts';
import { availableEngines } from '../../support/database.ts';
import { until } from '../../support/until.ts';
import { SLOW_TEST_MS, withDatabase } from '../ledger/ledger-database.ts';

const MIGRATE = `
  const { openDatabase } = await import(${JSON.stringify(join(import.meta.dir, '../../../src/adapters/postgres/database.ts'))});
  const { migrateUp, readMigrations } = await import(${JSON.stringify(join(import.meta.dir, '../../../src/adapters/postgres/migrations.ts'))});
  const migrations = await readMigrations();
  const slow = { number: migrations.length + 1, name: 'slow', up: 'SELECT pg_sleep(600)', down: '' };
  const limits = { connectionsMax: 1, timeoutSeconds: 20, failureThreshold: 5, recoveryTimeoutMs: 60_000 };
  await migrateUp(openDatabase({ url: process.env.DATABASE_URL, ...limits }), [...migrations, slow]);`;

describe.each(availableEngines())('the lock of migrations on the %s PostgreSQL', (engine) => {
  test(
    'is free soon after its process was killed, however long the statement would have run',
    () =>
      withDatabase(engine, async (sql, url) => {
        const child = Bun.spawn([process.execPath, '-e', MIGRATE], {
          env: { ...process.env, DATABASE_URL: url },
          stdio: ['ignore', 'inherit', 'inherit'],
        });
        const running = () =>
          sql`SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep(600)%'
            AND pid <> pg_backend_pid()`;
        await until(async () => (await running()).count === 1);
        child.kill('SIGKILL');
        await child.exited;
        const migrations = await readMigrations();
        expect(await migrateUp(sql, migrations)).toEqual({ migrations: [], functions: [] });
        expect(await running()).toHaveLength(0);
      }),
    SLOW_TEST_MS,
  );
});
