import { afterAll, beforeAll, expect, test } from 'bun:test';
import { openAccount } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

// More than one step releases.
const GREEDY_HOLDS = 1000;

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

/** Makes holds of an owner that expired so many seconds ago. */
async function expiredHolds(owner: string, count: number, seconds: number): Promise<void> {
  const caller = await atlas.as(owner);
  const [from, to] = [await openAccount(caller), await openAccount(caller)];
  await atlas.sql`
    INSERT INTO holds (id, debit_account_id, credit_account_id, ledger, amount, metadata, reserves_credit, created_at,
                       expires_at, posted, state, revision)
    SELECT gen_random_uuid(), ${from.id}, ${to.id}, 'EUR', 1, '{}', false, now() - interval '1 day',
           now() - ${seconds} * interval '1 second', 0, 'pending', 1 FROM generate_series(1, ${count})`;
  await atlas.sql`UPDATE accounts SET debits_pending = ${count} WHERE id = ${from.id}`;
}

test('the expired holds of one owner are not released before those of everybody else', async () => {
  await expiredHolds('greedy', GREEDY_HOLDS, 3600);
  await expiredHolds('modest', 1, 1);
  await atlas.jobs.find(({ name }) => name === 'release expired holds')!.run();
  const rows = await atlas.sql<{ owner: string; nth: number }[]>`
    SELECT a.owner, rank() OVER (ORDER BY h.settled_at)::int AS nth
      FROM holds h JOIN accounts a ON a.id = h.debit_account_id WHERE h.state = 'expired'`;
  expect(rows).toHaveLength(GREEDY_HOLDS + 1);
  expect(rows.find(({ owner }) => owner === 'modest')?.nth).toBe(1);
});
