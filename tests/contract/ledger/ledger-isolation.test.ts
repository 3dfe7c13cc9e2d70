import { describe, expect, test } from 'bun:test';
import { databaseErrorCode, type Sql } from '../../../src/adapters/postgres/postgres.ts';
import { fingerprintOf, type PostRequest } from '../../../src/features/ledger/movement.ts';
import { createTransferRepository } from '../../../src/features/ledger/transfers/repository.ts';
import { createLedgerRepository } from '../../../src/features/ledger/verification/repository.ts';
import { availableEngines } from '../../support/database.ts';
import { until } from '../../support/until.ts';
import { insertAccounts, SLOW_TEST_MS, withDatabase } from './ledger-database.ts';

// What docs/architecture/transactions.md says about the guards of the ledger.

const POSTING_LOCK = '5703951129318914';

function payment(debitAccountId: string, creditAccountId: string, amount: number): PostRequest {
  const id = crypto.randomUUID();
  const orders = [{ id, debitAccountId, creditAccountId, amount, reference: null, metadata: {} }];
  return { owner: 'owner', key: id, fingerprint: fingerprintOf('/', false, orders), atomic: false, orders };
}

const waitingForLocks = async (sql: Sql, event: string) =>
  (
    await sql`SELECT FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = ${event}`
  ).length;

/** Opens a bank, which may go negative, and accounts that may not. */
async function open(sql: Sql): Promise<[bank: string, poor: string, shop: string]> {
  const account = { ledger: 'EUR', owner: 'owner' };
  const ids = await insertAccounts(sql, [
    { ...account, allowNegative: true },
    { ...account, allowNegative: false },
    { ...account, allowNegative: false },
  ]);
  return ids as [string, string, string];
}

describe.each(availableEngines())('on the %s PostgreSQL', (engine) => {
  test(
    'no balance is lost or spent twice: a batch waits for the one before, and reads what it has committed',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const [bank, poor, shop] = await open(sql);
        const { post } = createTransferRepository(db);
        await post([payment(bank, poor, 100)]);
        const before = await sql.reserve();
        await before`BEGIN`;
        await before`SELECT pg_advisory_xact_lock(${POSTING_LOCK}::bigint)`;
        const waiting = post([payment(poor, shop, 80)]);
        await until(async () => (await waitingForLocks(sql, 'advisory')) === 1);
        await before`UPDATE accounts SET debits_posted = 50, version = version + 1 WHERE id = ${poor}`;
        await before`COMMIT`;
        before.release();
        expect(await waiting).toMatchObject([{ items: [{ outcome: 'insufficient_funds' }] }]);
      }),
    SLOW_TEST_MS,
  );

  test(
    'a batch also waits for the lock of an account that something else changes, and sees the change',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const [bank, poor, shop] = await open(sql);
        const { post } = createTransferRepository(db);
        await post([payment(bank, poor, 100)]);
        const other = await sql.reserve();
        await other`BEGIN`;
        await other`UPDATE accounts SET debits_posted = 50, version = version + 1 WHERE id = ${poor}`;
        const waiting = post([payment(poor, shop, 80)]);
        await until(async () => (await waitingForLocks(sql, 'transactionid')) === 1);
        await other`COMMIT`;
        other.release();
        expect(await waiting).toMatchObject([{ items: [{ outcome: 'insufficient_funds' }] }]);
      }),
    SLOW_TEST_MS,
  );

  test(
    'posting is not for a snapshot: at repeatable read it would be refused what read committed waits for',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const [bank, poor] = await open(sql);
        const { post } = createTransferRepository(db);
        const late = await sql.reserve();
        await late`BEGIN ISOLATION LEVEL REPEATABLE READ`;
        await late`SELECT count(*) FROM accounts`;
        await post([payment(bank, poor, 100)]);
        const lock = late`SELECT FROM accounts WHERE id = ${poor} FOR NO KEY UPDATE`;
        const code = await lock.then(() => 'locked', databaseErrorCode);
        await late`ROLLBACK`;
        late.release();
        expect(code).toBe('40001');
      }),
    SLOW_TEST_MS,
  );

  test(
    'what no lock prevents, a constraint does, at every level: balances, versions, and facts',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const [bank, poor, shop] = await open(sql);
        await createTransferRepository(db).post([payment(bank, poor, 100)]);
        const codeOf = (level: string, statement: string) =>
          sql
            .begin(`isolation level ${level}`, (tx) => tx.unsafe(statement))
            .then(() => 'done', databaseErrorCode);
        const copy = (debitVersion: number) => `
          INSERT INTO transfers SELECT gen_random_uuid(), debit_account_id, ${debitVersion}, '${shop}', 1, ledger,
            amount, reference, metadata, created_at FROM transfers`;
        for (const level of ['read committed', 'repeatable read', 'serializable']) {
          const codes = [
            await codeOf(level, `UPDATE accounts SET debits_posted = 101 WHERE id = '${poor}'`),
            await codeOf(level, copy(1)),
            await codeOf(level, 'UPDATE transfers SET amount = 1'),
            await codeOf(level, `DELETE FROM accounts WHERE id = '${poor}'`),
          ];
          expect([level, ...codes]).toEqual([level, '23514', '23505', '23001', '23001']);
        }
      }),
    SLOW_TEST_MS,
  );

  test(
    'a verification beside payments finds nothing, and its totals are of one moment',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const [bank, poor] = await open(sql);
        const { post } = createTransferRepository(db);
        const ledger = createLedgerRepository(db);
        let isOver = false;
        const paying = (async () => {
          while (!isOver) await post([payment(bank, poor, 7)]);
        })();
        for (let i = 0; i < 10; i++) {
          const { discrepancies, ledgers } = await ledger.verify(null, 10);
          expect(discrepancies).toEqual([]);
          const [totals] = ledgers;
          expect(totals!.debitsPosted).toBe(totals!.creditsPosted);
        }
        isOver = true;
        await paying;
      }),
    SLOW_TEST_MS,
  );
});
