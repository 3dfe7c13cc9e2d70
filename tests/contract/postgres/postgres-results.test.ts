import { expect, test } from 'bun:test';
import { freshDatabase, openTestDatabase } from '../../support/database.ts';

test('a query that fails after its first rows leaves no holes in the next result', async () => {
  const db = openTestDatabase(await freshDatabase(), { connectionsMax: 1, timeoutSeconds: 10 });
  try {
    const fail = () => db.query((sql) => sql`SELECT 1 / (3 - n) AS v FROM generate_series(1, 5) n`);
    await expect(fail()).rejects.toThrow('division by zero');
    expect([...(await db.query((sql) => sql`SELECT 7 AS v`))]).toEqual([{ v: 7 }]);
    await expect(fail()).rejects.toThrow('division by zero');
    expect([
      ...(await db.query((sql) => sql`SELECT v FROM (VALUES (1), (2), (3)) n (v) ORDER BY v`)),
    ]).toEqual([{ v: 1 }, { v: 2 }, { v: 3 }]);
    await expect(fail()).rejects.toThrow('division by zero');
    expect((await db.query((sql) => sql`SELECT 1 WHERE false`)).length).toBe(0);
    // The same for a query that a deadline cancels midway.
    const controller = new AbortController();
    const running = db.query(
      (sql) =>
        sql`SELECT repeat('x', 9000), pg_sleep(CASE WHEN n > 3 THEN 5 ELSE 0 END) FROM generate_series(1, 5) n`,
      { signal: controller.signal },
    );
    setTimeout(() => controller.abort(), 50);
    await expect(running).rejects.toThrow();
    expect([...(await db.query((sql) => sql`SELECT 8 AS v`))]).toEqual([{ v: 8 }]);
  } finally {
    await db.end({ timeout: 1 });
  }
}, 60_000);
