import { beforeAll, expect, test } from 'bun:test';
import type { Database } from '../../../src/adapters/postgres/database.ts';
import { openPostgres, type Sql } from '../../../src/adapters/postgres/postgres.ts';
import type { Queryable } from '../../../src/adapters/postgres/query.ts';
import { freshDatabase, openTestDatabase } from '../../support/database.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';

// An unhandled rejection of the driver fails these tests.

let url = '';
beforeAll(async () => {
  url = await freshDatabase();
  const sql = openPostgres({ url, connectionsMax: 1, timeoutSeconds: 10 });
  await sql`CREATE TABLE written (name text)`;
  await sql.end();
}, START_TIMEOUT_MS);

const LOST = {
  code: 'dependency_unavailable',
  cause: { message: expect.stringMatching(/CONNECTION_CLOSED|ECONNRESET/) },
};

/** A database with one connection, and another connection to observe it. */
async function withPool(timeoutSeconds: number, work: (db: Database, beside: Sql) => Promise<void>) {
  const db = openTestDatabase(url, { connectionsMax: 1, timeoutSeconds });
  const beside = openPostgres({ url, connectionsMax: 1, timeoutSeconds: 60 });
  try {
    await work(db, beside);
  } finally {
    await beside`DELETE FROM written`;
    await Promise.all([db.end({ timeout: 1 }), beside.end({ timeout: 1 })]);
  }
}

const write = (on: Queryable, name: string) => on.query((sql) => sql`INSERT INTO written VALUES (${name})`);
const written = async (sql: Sql) => {
  const rows = await sql<{ name: string }[]>`SELECT name FROM written ORDER BY name`;
  return rows.map(({ name }) => name);
};
const pidOf = async (db: Database) =>
  (await db.query((sql) => sql<[{ pid: number }]>`SELECT pg_backend_pid() AS pid`))[0].pid;

test('a transaction whose connection is lost in a statement fails, and the next one has another connection', () =>
  withPool(60, async (db, beside) => {
    const pid = await pidOf(db);
    const lost = db.transaction(async (tx) => {
      await write(tx, 'lost');
      await tx.query((sql) => sql`SELECT pg_sleep(30)`);
    });
    lost.catch(() => {});
    const isAsleep = async () => {
      const rows = await beside`SELECT FROM pg_stat_activity WHERE pid = ${pid} AND wait_event = 'PgSleep'`;
      return rows.length === 1;
    };
    await until(isAsleep);
    await beside`SELECT pg_terminate_backend(${pid})`;
    await expect(lost).rejects.toMatchObject(LOST);
    for (let call = 0; call < 3; call++) await db.transaction((tx) => write(tx, `after ${call}`));
    expect(await written(beside)).toEqual(['after 0', 'after 1', 'after 2']);
  }));

test('queries of a transaction whose connection is lost are never sent, however late they come', () =>
  withPool(60, async (db, beside) => {
    const pid = await pidOf(db);
    const goOn = Promise.withResolvers<void>();
    const said = Promise.withResolvers<unknown[]>();
    const lost = db.transaction(async (tx) => {
      await write(tx, 'lost');
      await goOn.promise;
      const rest = await Promise.allSettled([
        write(tx, 'late'),
        tx.query((sql) => sql`INSERT INTO written VALUES ('later')`),
      ]);
      said.resolve(rest.map(({ status }) => status));
      return 'done';
    });
    lost.catch(() => {});
    await until(
      async () => (await beside`SELECT FROM pg_stat_activity WHERE state = 'idle in transaction'`).length > 0,
    );
    await beside`SELECT pg_terminate_backend(${pid})`;
    await expect(lost).rejects.toMatchObject(LOST);
    // Another transaction has the only connection, and rolls back.
    const other = db.transaction(async (tx) => {
      await write(tx, 'rolled back');
      goOn.resolve();
      expect(await said.promise).toEqual(['rejected', 'rejected']);
      throw new Error('a business error');
    });
    await expect(other).rejects.toThrow('a business error');
    expect(await written(beside)).toEqual([]);
  }));

test('a query that the work did not await is not sent after the transaction has ended', () =>
  withPool(60, async (db, beside) => {
    const late = Promise.withResolvers<void>();
    let straggler: Promise<unknown> = Promise.resolve();
    await db.transaction(async (tx) => {
      await write(tx, 'in time');
      straggler = late.promise.then(() => write(tx, 'too late'));
    });
    late.resolve();
    await expect(straggler).rejects.toThrow('has ended');
    expect(await written(beside)).toEqual(['in time']);
  }));

test('a transaction that is idle for longer than the statement timeout is ended, and its locks are released', () =>
  withPool(1, async (db, beside) => {
    const goOn = Promise.withResolvers<void>();
    const hasLock = Promise.withResolvers<void>();
    const stopped = db.transaction(async (tx) => {
      await write(tx, 'of a process that is stopped');
      await tx.query((sql) => sql`SELECT pg_advisory_xact_lock(77)`);
      hasLock.resolve();
      await goOn.promise;
      await write(tx, 'of a process that wakes late');
    });
    stopped.catch(() => {});
    await hasLock.promise;
    // Waits until the lock is free.
    await beside`SELECT pg_advisory_lock(77), pg_advisory_unlock_all()`;
    goOn.resolve();
    await expect(stopped).rejects.toThrow();
    expect(await written(beside)).toEqual([]);
  }));
