import { describe, expect, test } from 'bun:test';
import type { Database } from '../../../src/adapters/postgres/database.ts';
import { databaseErrorCode, type Sql } from '../../../src/adapters/postgres/postgres.ts';
import { fingerprintOf } from '../../../src/features/ledger/movement.ts';
import { createTransferRepository } from '../../../src/features/ledger/transfers/repository.ts';
import { availableEngines } from '../../support/database.ts';
import { discrepanciesOf, insertAccounts, SLOW_TEST_MS, withDatabase } from './ledger-database.ts';

const RESTRICT = '23001';
const CHECK = '23514';
const UNIQUE = '23505';

/** A bank that owes Alice 100. */
async function postOne(sql: Sql, db: Database): Promise<{ bank: string; alice: string; transfer: string }> {
  const [bank, alice] = await insertAccounts(sql, [
    { ledger: 'EUR', allowNegative: true },
    { ledger: 'EUR', allowNegative: false },
  ]);
  const transfer = crypto.randomUUID();
  const order = {
    id: transfer,
    debitAccountId: bank!,
    creditAccountId: alice!,
    amount: 100,
    reference: null,
    metadata: {},
  };
  const fingerprint = fingerprintOf('/', false, [order]);
  await createTransferRepository(db).post([
    { owner: 'owner', key: 'k', fingerprint, atomic: false, orders: [order] },
  ]);
  return { bank: bank!, alice: alice!, transfer };
}

const INSERT_TRANSFER = `INSERT INTO transfers
  (id, debit_account_id, debit_version, credit_account_id, credit_version, ledger, amount, metadata, created_at) VALUES`;

describe.each(availableEngines())('the %s PostgreSQL itself refuses', (engine) => {
  test.each([
    ['to change a transfer', 'UPDATE transfers SET amount = 1', RESTRICT],
    ['to change even the reference of a transfer', "UPDATE transfers SET reference = 'x'", RESTRICT],
    ['to delete a transfer', 'DELETE FROM transfers', RESTRICT],
    ['to delete an account', "DELETE FROM accounts WHERE id = 'ALICE'", RESTRICT],
    ['a balance below zero', "UPDATE accounts SET debits_posted = 101 WHERE id = 'ALICE'", CHECK],
    [
      'to disallow an existing negative balance',
      "UPDATE accounts SET allow_negative = false WHERE id = 'BANK'",
      CHECK,
    ],
    ['a sum below zero', "UPDATE accounts SET debits_posted = -1 WHERE id = 'ALICE'", CHECK],
    ['a sum over 2^53−1', "UPDATE accounts SET credits_posted = 9007199254740992 WHERE id = 'ALICE'", CHECK],
    ['a ledger that is not a currency code', "UPDATE accounts SET ledger = 'euro' WHERE id = 'ALICE'", CHECK],
    [
      'a transfer of zero',
      `${INSERT_TRANSFER} (gen_random_uuid(), 'BANK', 2, 'ALICE', 2, 'EUR', 0, '{}', now())`,
      CHECK,
    ],
    [
      'a negative transfer',
      `${INSERT_TRANSFER} (gen_random_uuid(), 'BANK', 2, 'ALICE', 2, 'EUR', -1, '{}', now())`,
      CHECK,
    ],
    [
      'a transfer over 2^53−1',
      `${INSERT_TRANSFER} (gen_random_uuid(), 'BANK', 2, 'ALICE', 2, 'EUR', 9007199254740992, '{}', now())`,
      CHECK,
    ],
    [
      'a transfer to the same account',
      `${INSERT_TRANSFER} (gen_random_uuid(), 'BANK', 2, 'BANK', 3, 'EUR', 1, '{}', now())`,
      CHECK,
    ],
    [
      'a transfer under an id that already exists',
      `${INSERT_TRANSFER} ('TRANSFER', 'BANK', 2, 'ALICE', 2, 'EUR', 1, '{}', now())`,
      UNIQUE,
    ],
    [
      'a version that already exists',
      `${INSERT_TRANSFER} (gen_random_uuid(), 'BANK', 1, 'ALICE', 2, 'EUR', 1, '{}', now())`,
      UNIQUE,
    ],
    [
      'a second event of one transfer',
      `INSERT INTO outbox (transfer_id, debit_account_id, debit_version, credit_account_id, credit_version)
        SELECT transfer_id, debit_account_id, debit_version, credit_account_id, credit_version FROM outbox
         WHERE transfer_id = 'TRANSFER'`,
      UNIQUE,
    ],
    ['a second record under one key', 'INSERT INTO idempotency_keys SELECT * FROM idempotency_keys', UNIQUE],
    ['a key without a hash of a secret', "INSERT INTO api_keys VALUES ('a', 'o', 'n', 'short', '{}')", CHECK],
  ])(
    '%s',
    (_what, statement, code) =>
      withDatabase(engine, async (sql, _url, db) => {
        const { bank, alice, transfer } = await postOne(sql, db);
        const attempt = sql.unsafe(
          statement.replaceAll('ALICE', alice).replaceAll('BANK', bank).replaceAll('TRANSFER', transfer),
        );
        const error = await attempt.then(
          () => null,
          (thrown: unknown) => thrown,
        );
        expect(databaseErrorCode(error)).toBe(code);
        expect(await discrepanciesOf(db)).toEqual([]);
      }),
    SLOW_TEST_MS,
  );

  test(
    'and stores nothing of a batch whose transaction fails midway',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const { bank, alice } = await postOne(sql, db);
        await sql`ALTER TABLE outbox ADD CONSTRAINT broken CHECK (credit_version < 3)`;
        const orders = [1, 2, 3].map((amount) => ({
          id: crypto.randomUUID(),
          debitAccountId: bank,
          creditAccountId: alice,
          amount,
          reference: null,
          metadata: {},
        }));
        const fingerprint = fingerprintOf('/', false, orders);
        const post = createTransferRepository(db).post([
          { owner: 'owner', key: 'half', fingerprint, atomic: false, orders },
        ]);
        expect(databaseErrorCode(await post.catch((error: unknown) => error))).toBe(CHECK);
        const [row] = await sql`
          SELECT (SELECT count(*) FROM transfers) AS transfers, (SELECT count(*) FROM outbox) AS events,
                 (SELECT count(*) FROM idempotency_keys) AS keys, (SELECT sum(version)::int FROM accounts) AS versions`;
        expect(row!).toEqual({ transfers: 1, events: 1, keys: 1, versions: 2 });
      }),
    SLOW_TEST_MS,
  );
});
