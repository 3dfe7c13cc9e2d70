import { describe, expect, test } from 'bun:test';
import type { Database } from '../../../src/adapters/postgres/database.ts';
import { databaseErrorCode, type Sql } from '../../../src/adapters/postgres/postgres.ts';
import { readSqlFunctions } from '../../../src/adapters/postgres/sql-functions.ts';
import type { Limit } from '../../../src/features/ledger/limit-content.ts';
import { createLimitRepository } from '../../../src/features/ledger/limits/repository.ts';
import type { TransferRequest } from '../../../src/features/ledger/movement.ts';
import { createTransferRepository } from '../../../src/features/ledger/transfers/repository.ts';
import { availableEngines } from '../../support/database.ts';
import { insertAccounts, SLOW_TEST_MS, withDatabase } from './ledger-database.ts';
import { postAsBefore } from './post-as-before.ts';

const RESTRICT = '23001';
const ACTOR = { kind: 'system', id: 'test' } as const;
const WRITER = { owner: 'owner', isOperator: false };

/** Two accounts, of which the first may pay 100 a day. */
async function arrange(sql: Sql, db: Database) {
  const [payer, payee] = await insertAccounts(sql, [
    { ledger: 'EUR', allowNegative: true },
    { ledger: 'EUR', allowNegative: true },
  ]);
  const limits = createLimitRepository(db);
  const id = crypto.randomUUID();
  const rules = { counts: 'debits' as Limit['counts'], countsInternal: false };
  const content = {
    name: 'Payouts',
    ledger: 'EUR',
    ...rules,
    maxima: { dayAmount: 100 },
    accountIds: [payer!],
  };
  expect(await limits.create(id, WRITER, content, ACTOR, {})).toBeNull();
  const { post } = createTransferRepository(db);
  const requestOf = (amount: number): TransferRequest => {
    const key = crypto.randomUUID();
    const sides = { debitAccountId: payer!, creditAccountId: payee! };
    const orders = [{ id: key, ...sides, amount, reference: null, metadata: {} }];
    const fingerprint = new Bun.SHA256().update(key).digest('hex');
    return { owner: 'owner', key, fingerprint, atomic: false, orders };
  };
  const usedOf = async () => (await limits.find('owner', id))!.usage.day.amount;
  return { id, limits, post, requestOf, usedOf };
}

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => null,
    (error) => databaseErrorCode(error),
  );

describe.each(availableEngines())('on the %s PostgreSQL', (engine) => {
  test(
    'no counter of a limit grows beyond its maximum, even if the code lets it',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const { id, post, requestOf, usedOf } = await arrange(sql, db);
        await post([requestOf(90)]);
        expect(await codeOf(sql`UPDATE limits SET day_amount = 101 WHERE id = ${id}`)).toBe(RESTRICT);
        const { script } = (await readSqlFunctions()).find(({ name }) => name === 'use_limits')!;
        const check = 'p_used[b + 4] > p_most[b + 4] - p_amount';
        expect(script).toContain(check);
        await sql.unsafe(script.replace(check, 'false'));
        expect(await codeOf(post([requestOf(11)]))).toBe(RESTRICT);
        expect(await usedOf()).toBe(90);
        const [row] = await sql`SELECT sum(amount)::int AS paid FROM transfers`;
        expect(row!.paid).toBe(90);
      }),
    SLOW_TEST_MS,
  );

  test(
    'a maximum may be lowered below what is used, and then nothing is used, while something may be given back',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const { id, post, requestOf } = await arrange(sql, db);
        await post([requestOf(90)]);
        await sql`UPDATE limits SET day_amount_max = 50 WHERE id = ${id}`;
        expect(await codeOf(sql`UPDATE limits SET day_amount = 91 WHERE id = ${id}`)).toBe(RESTRICT);
        await sql`UPDATE limits SET day_amount = 80 WHERE id = ${id}`;
      }),
    SLOW_TEST_MS,
  );

  test(
    'the release before is refused too, by a code that it knows, and a retry on this release names the limit',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const { id, post, requestOf, usedOf } = await arrange(sql, db);
        expect((await postAsBefore(sql, requestOf(90))).outcomes).toEqual(['posted']);
        const tooMuch = requestOf(11);
        expect((await postAsBefore(sql, tooMuch)).outcomes).toEqual(['balance_limit_exceeded']);
        expect(await usedOf()).toBe(90);
        const [result] = await post([tooMuch]);
        const limit = { id, name: 'Payouts', maximum: 'dayAmount', max: 100, used: 90, remaining: 10 };
        expect(result).toMatchObject({ state: 'replayed', items: [{ outcome: 'limit_exceeded', limit }] });
      }),
    SLOW_TEST_MS,
  );

  test(
    'a change waits for the batch that may not know of it',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const { limits } = await arrange(sql, db);
        const { promise: batchEnds, resolve: endBatch } = Promise.withResolvers<void>();
        let isSettled = false;
        const { promise: batchRuns, resolve: startBatch } = Promise.withResolvers<void>();
        const batch = sql.begin(async (tx) => {
          await tx`SELECT pg_advisory_xact_lock(5703951129318914)`;
          startBatch();
          await batchEnds;
        });
        await batchRuns;
        const settling = limits.settle().then(() => {
          isSettled = true;
        });
        await limits.list('owner', null, 1);
        expect(isSettled).toBe(false);
        endBatch();
        await Promise.all([batch, settling]);
      }),
    SLOW_TEST_MS,
  );

  test(
    'an account that was given to another organization is under its limits no more',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const { post, requestOf, usedOf } = await arrange(sql, db);
        await sql`UPDATE accounts SET owner = 'other'`;
        const [result] = await post([{ ...requestOf(1000), owner: 'other' }]);
        expect(result).toMatchObject({ items: [{ outcome: 'posted' }] });
        expect(await usedOf()).toBe(0);
      }),
    SLOW_TEST_MS,
  );
});
