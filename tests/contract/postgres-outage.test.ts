import { expect, test } from 'bun:test';
import { openPostgres, runQuery } from '../../src/adapters/postgres.ts';

const CALLS = 20;
const SLOWEST_MS = 1000;

test('during an outage every call fails within a second, however long the outage lasts', async () => {
  // Nobody listens on port 1. The waits of the driver itself would grow from call to call.
  const sql = openPostgres({
    url: 'postgres://nobody@127.0.0.1:1/none',
    connectionsMax: 4,
    timeoutSeconds: 5,
  });
  const durationsMs: number[] = [];
  for (let call = 0; call < CALLS; call++) {
    const startMs = performance.now();
    await expect(runQuery(sql`SELECT 1`)).rejects.toMatchObject({ code: 'dependency_unavailable' });
    durationsMs.push(performance.now() - startMs);
  }
  expect(Math.max(...durationsMs)).toBeLessThan(SLOWEST_MS);
  await sql.end({ timeout: 1 });
}, 30_000);
