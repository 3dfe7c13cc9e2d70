import { expect, test } from 'bun:test';
import { openGuardedPostgres } from '../../../src/adapters/postgres/guarded-postgres.ts';
import { runQuery } from '../../../src/adapters/postgres/postgres.ts';
import { freshDatabase } from '../../support/database.ts';

test('a query that fails after it has answered rows leaves no hole in the answer of the next one', async () => {
  const { sql } = openGuardedPostgres({
    url: await freshDatabase(),
    connectionsMax: 1,
    timeoutSeconds: 10,
    failureThreshold: 5,
    recoveryTimeoutMs: 1000,
  });
  try {
    const fail = () => runQuery(sql`SELECT 1 / (3 - n) AS v FROM generate_series(1, 5) n`);
    await expect(fail()).rejects.toThrow('division by zero');
    expect([...(await runQuery(sql`SELECT 7 AS v`))]).toEqual([{ v: 7 }]);
    await expect(fail()).rejects.toThrow('division by zero');
    expect([...(await runQuery(sql`SELECT v FROM (VALUES (1), (2), (3)) n (v) ORDER BY v`))]).toEqual([
      { v: 1 },
      { v: 2 },
      { v: 3 },
    ]);
    await expect(fail()).rejects.toThrow('division by zero');
    expect((await runQuery(sql`SELECT 1 WHERE false`)).length).toBe(0);
    // And one that is cancelled in the middle of its rows, which is what a deadline does.
    const controller = new AbortController();
    const answered = runQuery(
      sql`SELECT repeat('x', 9000), pg_sleep(CASE WHEN n > 3 THEN 5 ELSE 0 END) FROM generate_series(1, 5) n`,
      controller.signal,
    );
    setTimeout(() => controller.abort(), 50);
    await expect(answered).rejects.toThrow();
    expect([...(await runQuery(sql`SELECT 8 AS v`))]).toEqual([{ v: 8 }]);
  } finally {
    await sql.end({ timeout: 1 });
  }
}, 60_000);
