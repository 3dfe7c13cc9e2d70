import { afterAll, beforeAll, expect, test } from 'bun:test';
import { openAccount, postTransfer } from '../../support/ledger-steps.ts';
import { postKeyed } from '../../support/movement-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';

const OTHERS_BATCHES = 10;
const BATCH_ITEMS = 1000;
// Its own transfers and those it reads along with them on a page of an index.
const READ_MAX = 200;

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

/** Rows of transfers, holds, and reversals that were read so far. */
async function rowsRead(): Promise<number> {
  const [row] = await atlas.sql<[{ read: number }]>`
    SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::float8 AS read FROM pg_stat_user_tables
    WHERE relname IN ('transfers', 'holds', 'reversals', 'reversed_transfers')`;
  return row.read;
}

test(
  'the verification of an organization reads what it has, however much others have',
  async () => {
    const others = await atlas.as('others');
    const [from, to] = [await openAccount(others), await openAccount(others)];
    const transfers = Array.from({ length: BATCH_ITEMS }, () => ({
      debitAccountId: from.id,
      creditAccountId: to.id,
      amount: 1,
    }));
    for (let i = 0; i < OTHERS_BATCHES; i++) {
      const { status } = await postKeyed(others, '/v1/transfers/batch', { transfers });
      expect(status).toBe(200);
    }
    const small = await atlas.as('small');
    const [own, other] = [await openAccount(small), await openAccount(small)];
    await postTransfer(small, { debitAccountId: own.id, creditAccountId: other.id, amount: 5 });
    await atlas.sql`ANALYZE`;
    await until(async () => {
      const before = await rowsRead();
      await Bun.sleep(1100);
      return (await rowsRead()) === before;
    });
    const before = await rowsRead();
    const response = await small.call('GET', '/v1/ledger/verification');
    expect(await response.json()).toMatchObject({ ok: true, accounts: 2, transfers: 1 });
    await until(async () => (await rowsRead()) > before, { what: 'the rows that were read' });
    expect((await rowsRead()) - before).toBeLessThan(READ_MAX);
  },
  START_TIMEOUT_MS,
);
