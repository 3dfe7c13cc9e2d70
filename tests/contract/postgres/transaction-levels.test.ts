import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import type { Database } from '../../../src/adapters/postgres/database.ts';
import type { IsolationLevel } from '../../../src/adapters/postgres/fenced-transaction.ts';
import { openPostgres, type Sql } from '../../../src/adapters/postgres/postgres.ts';
import type { Queryable } from '../../../src/adapters/postgres/query.ts';
import { availableEngines, freshDatabase, openTestDatabase } from '../../support/database.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';

const DEADLINE = new Error('the deadline passed');
const CONFLICT = { code: 'dependency_unavailable', cause: { code: '40001' } };

describe.each(availableEngines())('on the %s PostgreSQL', (engine) => {
  let db: Database;
  let beside: Sql;
  beforeAll(async () => {
    const url = await freshDatabase(engine);
    db = openTestDatabase(url, { connectionsMax: 4 });
    beside = openPostgres({ url, connectionsMax: 2, timeoutSeconds: 20 });
    await beside`CREATE TABLE counters (id int PRIMARY KEY, value int NOT NULL)`;
  }, START_TIMEOUT_MS);
  beforeEach(async () => {
    await beside`DELETE FROM counters`;
    await beside`INSERT INTO counters VALUES (1, 0), (2, 0)`;
    Object.assign(db.stats.conflicts, { retried: 0, failed: 0 });
  });
  afterAll(async () => {
    await Promise.all([db.end({ timeout: 1 }), beside.end({ timeout: 1 })]);
  });

  const readValue = async (on: Queryable, id = 1) =>
    (await on.query((sql) => sql<[{ value: number }]>`SELECT value FROM counters WHERE id = ${id}`))[0].value;
  const setTo = (on: Queryable, value: number, id = 1) =>
    on.query((sql) => sql`UPDATE counters SET value = ${value} WHERE id = ${id}`);
  const add = (id: number) => beside`UPDATE counters SET value = value + 1 WHERE id = ${id}`;
  const levelOf = async (on: Queryable) =>
    (
      await on.query(
        (sql) => sql<[{ level: string }]>`SELECT current_setting('transaction_isolation') AS level`,
      )
    )[0].level;

  test('a transaction has the level that it asks for, and read committed otherwise', async () => {
    expect(await db.transaction(levelOf)).toBe('read committed');
    for (const isolation of ['read committed', 'repeatable read', 'serializable'] as const)
      expect(await db.transaction(levelOf, { isolation })).toBe(isolation);
    // The level ends with the transaction.
    expect(await levelOf(db)).toBe('read committed');
  });

  test('work within a transaction cannot ask for another level', async () => {
    const nested = db.transaction((tx) => db.transaction(levelOf, { tx, isolation: 'serializable' }));
    await expect(nested).rejects.toThrow('cannot change its level');
  });

  test.each<IsolationLevel>(['repeatable read', 'serializable'])(
    'at %s, work that lost against another transaction runs again, and no update is lost',
    async (isolation) => {
      let attempts = 0;
      await db.transaction(
        async (tx) => {
          const value = await readValue(tx);
          if (++attempts < 3) await add(1);
          await setTo(tx, value + 1);
        },
        { isolation },
      );
      expect([attempts, await readValue(db)]).toEqual([3, 3]);
      expect(db.stats.conflicts).toEqual({ retried: 2, failed: 0 });
    },
  );

  test('a conflict that only the commit reports is repeated too', async () => {
    let attempts = 0;
    const isolation = 'serializable';
    const sum = async (on: Queryable) => (await readValue(on, 1)) + (await readValue(on, 2));
    await db.transaction(
      async (tx) => {
        const total = await sum(tx);
        await setTo(tx, total + 1, 1);
        if (++attempts > 1) return;
        // It reads what this one writes and writes what this one has read, and commits first.
        await db.transaction(async (other) => setTo(other, (await sum(other)) + 1, 2), { isolation });
      },
      { isolation },
    );
    expect([attempts, await readValue(db, 1), await readValue(db, 2)]).toEqual([2, 2, 1]);
  });

  test('work that always loses fails after three retries with a 503, and changes nothing', async () => {
    let attempts = 0;
    const lost = db.transaction(
      async (tx) => {
        attempts++;
        await readValue(tx);
        await add(1);
        await setTo(tx, 100);
      },
      { isolation: 'repeatable read' },
    );
    await expect(lost).rejects.toMatchObject(CONFLICT);
    expect([attempts, await readValue(db)]).toEqual([4, 4]);
    expect(db.stats.conflicts).toEqual({ retried: 3, failed: 1 });
  });

  test('work whose deadline has passed is not repeated', async () => {
    const deadline = new AbortController();
    let attempts = 0;
    const late = db.transaction(
      async (tx) => {
        attempts++;
        await readValue(tx);
        await add(1);
        deadline.abort(DEADLINE);
        await setTo(tx, 100);
      },
      { isolation: 'repeatable read', signal: deadline.signal },
    );
    await expect(late).rejects.toMatchObject({ code: 'deadline_exceeded' });
    await until(async () => db.dependency.stats().inFlight === 0);
    expect([attempts, await readValue(db)]).toEqual([1, 1]);
  });

  test('an error of the work is thrown as it is, and not repeated', async () => {
    let attempts = 0;
    const refused = db.transaction(async (tx) => {
      attempts++;
      await setTo(tx, 100);
      throw new Error('a business rule');
    });
    await expect(refused).rejects.toThrow('a business rule');
    expect([attempts, await readValue(db)]).toEqual([1, 0]);
  });

  test('of two transactions that wait for each other, one runs again, and both have their effect once', async () => {
    const locked = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const both = [1, 2].map((first, i) =>
      db.transaction(async (tx) => {
        const write = (id: number) =>
          tx.query((sql) => sql`UPDATE counters SET value = value + 1 WHERE id = ${id}`);
        await write(first);
        locked[i]!.resolve();
        await locked[1 - i]!.promise;
        await write(3 - first);
      }),
    );
    await Promise.all(both);
    expect([await readValue(db, 1), await readValue(db, 2)]).toEqual([2, 2]);
    expect(db.stats.conflicts).toEqual({ retried: 1, failed: 0 });
  });

  test('a single statement that is the victim of a deadlock is repeated', async () => {
    const held = Promise.withResolvers<void>();
    const other = beside.begin(async (sql) => {
      // Only the statement detects the deadlock, so it is the victim.
      await sql`SET LOCAL deadlock_timeout = '60s'`;
      await sql`UPDATE counters SET value = value + 1 WHERE id = 2`;
      held.resolve();
      await until(async () => (await waiting()) === 1);
      await sql`UPDATE counters SET value = value + 1 WHERE id = 1`;
    });
    await held.promise;
    const both = db.query(
      (sql) => sql`
        WITH first AS (UPDATE counters SET value = value + 10 WHERE id = 1 RETURNING id)
        UPDATE counters SET value = value + 10 FROM first WHERE counters.id = 2`,
    );
    await Promise.all([other, both]);
    expect([await readValue(db, 1), await readValue(db, 2)]).toEqual([11, 11]);
    expect(db.stats.conflicts).toEqual({ retried: 1, failed: 0 });
  });

  const waiting = async () =>
    (
      await beside`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
    ).length;

  describe('a snapshot', () => {
    test('shows all of its queries the same moment, while others commit', async () => {
      const seen = await db.snapshot(async (tx) => {
        const before = await readValue(tx, 1);
        await beside`UPDATE counters SET value = 7`;
        await beside`INSERT INTO counters VALUES (3, 7)`;
        const [row] = await tx.query(
          (sql) => sql`SELECT count(*)::int AS count, sum(value)::int AS sum FROM counters`,
        );
        return [before, await readValue(tx, 1), row];
      });
      expect(seen).toEqual([0, 0, { count: 2, sum: 0 }]);
      expect(await readValue(db)).toBe(7);
    });

    test('cannot write', async () => {
      await expect(db.snapshot((tx) => setTo(tx, 1))).rejects.toMatchObject({ cause: { code: '25006' } });
      expect(await readValue(db)).toBe(0);
    });

    test('is canceled on the server when its caller has left', async () => {
      const caller = new AbortController();
      const sleeping = db.snapshot((tx) => tx.query((sql) => sql`SELECT pg_sleep(15)`), {
        signal: caller.signal,
      });
      sleeping.catch(() => {});
      const isAsleep = async () =>
        (await beside`SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'`).length > 0;
      await until(isAsleep);
      caller.abort(DEADLINE);
      await expect(sleeping).rejects.toMatchObject({ code: 'deadline_exceeded' });
      await until(async () => !(await isAsleep()));
      await until(async () => db.dependency.stats().inFlight === 0);
    });

    test('sends nothing after its caller has left', async () => {
      const caller = new AbortController();
      let sent = 0;
      const left = db.snapshot(
        async (tx) => {
          await readValue(tx);
          caller.abort(DEADLINE);
          await readValue(tx);
          sent++;
        },
        { signal: caller.signal },
      );
      await expect(left).rejects.toMatchObject({ code: 'deadline_exceeded' });
      await until(async () => db.dependency.stats().inFlight === 0);
      expect(sent).toBe(0);
    });

    test('has a time limit of its own, which ends with it', async () => {
      const sleepMs = (ms: number) => (tx: Queryable) =>
        tx.query((sql) => sql`SELECT pg_sleep(${ms / 1000})`);
      const slow = db.snapshot(sleepMs(15_000), { statementTimeoutMs: 100 });
      await expect(slow).rejects.toMatchObject({ code: 'deadline_exceeded', cause: { code: '57014' } });
      await Promise.all(Array.from({ length: 4 }, () => db.snapshot(sleepMs(200))));
    });

    test('is repeated when a cancel that was meant for an earlier query has hit it', async () => {
      let attempts = 0;
      await db.snapshot(async (tx) => {
        const [{ pid }] = await tx.query((sql) => sql<[{ pid: number }]>`SELECT pg_backend_pid() AS pid`);
        if (++attempts > 1) return;
        const asleep = tx.query((sql) => sql`SELECT pg_sleep(15)`);
        asleep.catch(() => {});
        await until(
          async () =>
            (await beside`SELECT FROM pg_stat_activity WHERE pid = ${pid} AND wait_event = 'PgSleep'`)
              .length > 0,
        );
        await beside`SELECT pg_cancel_backend(${pid})`;
        await asleep;
      });
      expect(attempts).toBe(2);
    });
  });
});
