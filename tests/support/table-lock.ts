import { openPostgres, type Sql } from '../../src/adapters/postgres/postgres.ts';
import { until } from './until.ts';

/** A lock on a table that blocks every query on it: a database that is slow for as long as a test requires. */
export interface TableLock {
  /** Resolves when this many other statements wait for the lock. */
  waiters(count: number): Promise<void>;
  release(): Promise<void>;
}

/** Locks a table from a separate connection. */
export async function lockTable(databaseUrl: string, table: string): Promise<TableLock> {
  const sql = openPostgres({ url: databaseUrl, connectionsMax: 2, timeoutSeconds: 30 });
  const unlock = Promise.withResolvers<void>();
  const locked = Promise.withResolvers<void>();
  const holding = sql.begin(async (transaction) => {
    await transaction.unsafe(`LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
    locked.resolve();
    await unlock.promise;
  });
  await Promise.race([locked.promise, holding]);
  return {
    waiters: (count) => untilWaiting(sql, count),
    release: async () => {
      unlock.resolve();
      await holding;
      await sql.end();
    },
  };
}

async function untilWaiting(sql: Sql, count: number): Promise<void> {
  await until(async () => (await lockWaiters(sql)) >= count, { what: `${count} statements wait for a lock` });
}

/** Returns how many statements on this database wait for a lock. */
export async function lockWaiters(sql: Sql): Promise<number> {
  const [row] = await sql<[{ waiting: number }]>`
    SELECT count(*) AS waiting FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  return row.waiting;
}
