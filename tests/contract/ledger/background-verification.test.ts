import { describe, expect, test } from 'bun:test';
import type { Sql } from '../../../src/adapters/postgres/postgres.ts';
import { createTransferRepository } from '../../../src/features/ledger/transfers/repository.ts';
import { createBackgroundVerification } from '../../../src/features/ledger/verification/background.ts';
import {
  createBackgroundRepository,
  createLedgerRepository,
} from '../../../src/features/ledger/verification/repository.ts';
import { availableEngines } from '../../support/database.ts';
import { insertAccounts, SLOW_TEST_MS, withDatabase } from './ledger-database.ts';

const UNGUARDED = 'ALTER TABLE transfers DISABLE TRIGGER ALL; ALTER TABLE accounts DISABLE TRIGGER ALL;';

function payment(debitAccountId: string, creditAccountId: string, amount: number) {
  const id = crypto.randomUUID();
  const orders = [{ id, debitAccountId, creditAccountId, amount, reference: null, metadata: {} }];
  return { owner: 'owner', key: id, fingerprint: Bun.SHA256.hash(id, 'hex'), atomic: false, orders };
}

async function openTwo(sql: Sql): Promise<[string, string]> {
  const account = { ledger: 'EUR', allowNegative: true };
  return (await insertAccounts(sql, [account, account])) as [string, string];
}

const sum = (account: string) =>
  `UPDATE accounts SET credits_posted = credits_posted + 5 WHERE id = '${account}'`;

describe.each(availableEngines())('the verification in the background, on the %s PostgreSQL', (engine) => {
  test(
    'reads each entry once, and what came since its last pass',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const [from, to] = await openTwo(sql);
        const { post } = createTransferRepository(db);
        const background = createBackgroundVerification(createBackgroundRepository(db));
        await post([payment(from, to, 10), payment(from, to, 20)]);
        await background.run();
        expect(background.stats()).toMatchObject({ passes: 1, entries: 4, discrepancies: [] });
        await background.run();
        expect(background.stats()).toMatchObject({ passes: 2, entries: 4 });
        await post([payment(to, from, 5)]);
        await background.run();
        expect(background.stats()).toMatchObject({ passes: 3, entries: 6, discrepancies: [] });
      }),
    SLOW_TEST_MS,
  );

  test(
    'reports a discrepancy once, keeps it until it is repaired, and then goes on from there',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const [from, to] = await openTwo(sql);
        const { post } = createTransferRepository(db);
        const background = createBackgroundVerification(createBackgroundRepository(db));
        await post([payment(from, to, 10)]);
        await background.run();
        await sql.unsafe(UNGUARDED + sum(to)).simple();
        await expect(background.run()).rejects.toThrow(`sums_differ at ${to}: expected debits 0, credits 10`);
        await background.run();
        const kinds = background.stats()!.discrepancies.map(({ kind, at }) => [kind, at]);
        expect(kinds.sort()).toEqual([
          ['ledger_unbalanced', 'EUR'],
          ['sums_differ', to],
        ]);
        await sql.unsafe(sum(to).replace('+', '-'));
        await background.run();
        expect(background.stats()!.discrepancies).toEqual([]);
      }),
    SLOW_TEST_MS,
  );

  test(
    'finds a changed entry that it has not read yet, and the full verification one that it has',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const [from, to] = await openTwo(sql);
        const { post } = createTransferRepository(db);
        const background = createBackgroundVerification(createBackgroundRepository(db));
        await post([payment(from, to, 10)]);
        await background.run();
        await post([payment(from, to, 20)]);
        await sql.unsafe(`${UNGUARDED} UPDATE transfers SET amount = 21 WHERE amount = 20`).simple();
        await expect(background.run()).rejects.toThrow('balance_differs');
        await sql
          .unsafe(
            'UPDATE transfers SET amount = 20 WHERE amount = 21; UPDATE transfers SET amount = 11 WHERE amount = 10',
          )
          .simple();
        await background.run();
        expect(background.stats()!.discrepancies).toEqual([]);
        const full = await createLedgerRepository(db).verify(null, 100);
        expect(full.discrepancies.map(({ kind }) => kind)).toContain('balance_differs');
      }),
    SLOW_TEST_MS,
  );

  test(
    'is done by one host at a time, and goes on where a host was killed',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const [from, to] = await openTwo(sql);
        await createTransferRepository(db).post([payment(from, to, 10)]);
        const repository = createBackgroundRepository(db);
        await sql.begin(async (tx) => {
          await tx`SELECT FROM ledger_verification FOR UPDATE`;
          expect(await repository.step()).toBeNull();
        });
        // Entries of one account in two steps, as of a host that has died after the first.
        const [{ createdMicros, id } = { createdMicros: '', id: '' }] = await sql<
          { createdMicros: string; id: string }[]
        >`
          SELECT (extract(epoch FROM created_at) * 1000000)::bigint::text AS created_micros, id FROM accounts ORDER BY created_at, id LIMIT 1`;
        await sql`UPDATE ledger_verification SET position = ${sql.json({ createdMicros, id, partial: null })}`;
        await createBackgroundVerification(repository).run();
        const [row] =
          await sql`SELECT entries, (SELECT count(*)::int FROM ledger_checkpoints) AS checkpoints FROM ledger_verification`;
        expect(row!).toMatchObject({ entries: 1, checkpoints: 1 });
      }),
    SLOW_TEST_MS,
  );
});

test(
  'an account with more entries than a step holds is verified in several steps',
  () =>
    withDatabase('embedded', async (sql, _url, db) => {
      const [from, to] = await openTwo(sql);
      const entries = 25_000;
      await sql`
        INSERT INTO transfers (id, debit_account_id, debit_version, debit_balance, credit_account_id, credit_version,
                               credit_balance, ledger, amount, metadata, created_at)
        SELECT gen_random_uuid(), ${from}, n, -2 * n, ${to}, n, 2 * n, 'EUR', 2, '{}', now()
          FROM generate_series(1, ${entries}::bigint) n`;
      await sql`
        INSERT INTO outbox (transfer_id, debit_account_id, debit_version, debit_owner, credit_account_id, credit_version, credit_owner, posted_at)
        SELECT id, debit_account_id, debit_version, 'owner', credit_account_id, credit_version, 'owner', created_at FROM transfers`;
      await sql`UPDATE accounts SET version = ${entries}, debits_posted = ${2 * entries} WHERE id = ${from}`;
      await sql`UPDATE accounts SET version = ${entries}, credits_posted = ${2 * entries} WHERE id = ${to}`;
      const ledger = createLedgerRepository(db);
      const reports: number[] = [];
      const found = await ledger.verify(null, 10, undefined, ({ phase, done }) => {
        if (phase === 'entries') reports.push(done);
      });
      expect(found).toMatchObject({ accounts: 2, transfers: entries, discrepancies: [] });
      expect(reports.length).toBeGreaterThan(2);
      expect(reports.at(-1)).toBe(2 * entries);
      const background = createBackgroundVerification(createBackgroundRepository(db));
      while ((background.stats()?.passes ?? 0) < 1) await background.run();
      expect(background.stats()).toMatchObject({ entries: 2 * entries, discrepancies: [] });
      await sql`UPDATE accounts SET credits_posted = credits_posted + 1, debits_posted = debits_posted + 1 WHERE id = ${to}`;
      expect((await ledger.verify(null, 10)).discrepancies).toMatchObject([{ kind: 'sums_differ', at: to }]);
    }),
  SLOW_TEST_MS,
);
