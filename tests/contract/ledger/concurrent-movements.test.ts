import { describe, expect, test } from 'bun:test';
import type { Sql } from '../../../src/adapters/postgres/postgres.ts';
import { isTransient } from '../../../src/adapters/postgres/postgres.ts';
import { createHoldRepository } from '../../../src/features/ledger/holds/repository.ts';
import type { Movement, PostRequest } from '../../../src/features/ledger/movement.ts';
import { GroupCommit } from '../../../src/features/ledger/transfers/group-commit.ts';
import { createTransferRepository } from '../../../src/features/ledger/transfers/repository.ts';
import { availableEngines, openTestDatabase } from '../../support/database.ts';
import { discrepanciesOf, insertAccounts, SLOW_TEST_MS, withDatabase } from './ledger-database.ts';
import { violationsOf } from './movement-invariants.ts';

const AMOUNT = 10;
const HOLDS = 30;
const TEXT = { reference: null, metadata: {} };

/** A separate worker: a pool, and a group commit over it. */
function openWorker(url: string) {
  const db = openTestDatabase(url, { connectionsMax: 3 });
  const { post, waitedMs } = createTransferRepository(db);
  const bounds = { batchItemsMax: 7, waitingItemsMax: 4096 };
  const groupCommit = new GroupCommit({ post, waitedMs, isTransient, ...bounds });
  return { groupCommit, close: () => db.end({ timeout: 5 }) };
}

/** Selects three holds that are due. */
const threeDue = (sql: Sql) => sql`ARRAY(
  SELECT id FROM holds WHERE state = 'pending' AND expires_at <= clock_timestamp() ORDER BY expires_at LIMIT 3)`;

let keys = 0;
function requestOf(order: Movement): PostRequest {
  const key = `movement-${keys++}`;
  return { owner: 'owner', key, fingerprint: Bun.SHA256.hash(key, 'hex'), atomic: false, orders: [order] };
}
const settle = (
  kind: 'post' | 'void',
  holdId: string,
  amount: number | null,
  keepRest: boolean,
): Movement => {
  const ids = { id: crypto.randomUUID(), formerId: crypto.randomUUID() };
  if (kind === 'void') return { kind, id: ids.id, holdId };
  return { kind, ...ids, holdId, amount, keepRest, ...TEXT };
};

describe.each(availableEngines())('on the %s PostgreSQL', (engine) => {
  test(
    'workers that post, void, and expire the same holds at once never spend what is reserved twice',
    () =>
      withDatabase(engine, async (sql, url, db) => {
        const [bank, poor] = await insertAccounts(sql, [
          { ledger: 'EUR', allowNegative: true },
          { ledger: 'EUR', allowNegative: false },
        ]);
        const workers = [openWorker(url), openWorker(url), openWorker(url)];
        const submit = async (w: number, order: Movement) => {
          const result = await workers[w % 3]!.groupCommit.submit(requestOf(order));
          return result.state === 'reused' ? 'reused' : result.items[0]!.outcome;
        };
        const funds = { id: crypto.randomUUID(), debitAccountId: bank!, creditAccountId: poor! };
        await submit(0, { ...funds, amount: HOLDS * AMOUNT, ...TEXT });
        // Twice as much as there is.
        const holds = Array.from({ length: 2 * HOLDS }, () => crypto.randomUUID());
        const content = { debitAccountId: poor!, creditAccountId: bank!, amount: AMOUNT, ...TEXT };
        const made = await Promise.all(
          holds.map((id, i) => submit(i, { kind: 'hold', id, expiresInSeconds: 3600, ...content })),
        );
        expect(made.filter((outcome) => outcome === 'posted')).toHaveLength(HOLDS);
        expect(made.filter((outcome) => outcome === 'insufficient_funds')).toHaveLength(HOLDS);

        const live = holds.filter((_, i) => made[i] === 'posted');
        await sql`ALTER TABLE holds DISABLE TRIGGER holds_immutable`;
        await sql`UPDATE holds SET expires_at = now() WHERE id = ANY (${live.slice(0, 5)})`;
        const attempts = live.flatMap((id, i) => [
          submit(i, settle('post', id, 6, true)),
          submit(i + 1, settle('post', id, 6, i % 2 === 0)),
          submit(i + 2, settle('post', id, null, false)),
          submit(i, settle('void', id, null, false)),
        ]);
        const expiring = [1, 2].map(() => sql`SELECT expire_given_holds(${threeDue(sql)})`);
        const outcomes = new Set(await Promise.all(attempts));
        await Promise.all(expiring);
        expect([...outcomes].every((outcome) => outcome === 'posted' || outcome.startsWith('hold_'))).toBe(
          true,
        );
        while ((await sql`SELECT expire_given_holds(${threeDue(sql)}) AS expired`)[0]!.expired > 0);

        const [row] = await sql`
          SELECT a.debits_posted, a.debits_pending, (SELECT sum(posted)::int FROM holds) AS posted,
                 (SELECT count(*)::int FROM holds WHERE state = 'pending') AS pending,
                 (SELECT count(*)::int FROM holds WHERE state = 'expired' AND posted = 0) AS expired
            FROM accounts a WHERE id = ${poor!}`;
        expect(row!).toMatchObject({ debitsPosted: row!.posted, debitsPending: 0, pending: 0, expired: 5 });
        expect(await violationsOf(sql)).toEqual([]);
        expect(await discrepanciesOf(db)).toEqual([]);
        for (const { close } of workers) await close();
      }),
    SLOW_TEST_MS,
  );

  test('one host releases expired holds at a time, and the others leave it to that one', () =>
    withDatabase(engine, async (sql, _url, db) => {
      const [payer, payee] = await insertAccounts(sql, [
        { ledger: 'EUR', allowNegative: true },
        { ledger: 'EUR', allowNegative: false },
      ]);
      await sql`
        INSERT INTO holds (id, debit_account_id, credit_account_id, ledger, amount, metadata, reserves_credit, created_at, expires_at, posted, state, revision)
        VALUES (gen_random_uuid(), ${payer!}, ${payee!}, 'EUR', 1, '{}', true, now() - interval '2 s', now() - interval '1 s', 0, 'pending', 1)`;
      await sql`UPDATE accounts SET debits_pending = 1 WHERE id = ${payer!}`;
      await sql`UPDATE accounts SET credits_pending = 1 WHERE id = ${payee!}`;
      const { due, expire } = createHoldRepository(db);
      const ids = await due(10);
      await sql.begin(async (tx) => {
        await tx`SELECT pg_advisory_xact_lock(5703951129318917)`;
        expect(await expire(ids)).toBe(0);
      });
      expect(await expire(ids)).toBe(1);
    }));
});
