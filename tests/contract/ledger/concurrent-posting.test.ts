import { describe, expect, test } from 'bun:test';
import { isTransient } from '../../../src/adapters/postgres/postgres.ts';
import { fingerprintOf, type PostRequest } from '../../../src/features/ledger/movement.ts';
import { GroupCommit } from '../../../src/features/ledger/transfers/group-commit.ts';
import { createTransferRepository } from '../../../src/features/ledger/transfers/repository.ts';
import { availableEngines, openTestDatabase } from '../../support/database.ts';
import { discrepanciesOf, insertAccounts, SLOW_TEST_MS, withDatabase } from './ledger-database.ts';

const REQUESTS = 400;

/** Opens a separate worker: a pool, and a group commit over it. */
function openWorker(url: string, batchItemsMax = 1000) {
  const db = openTestDatabase(url, { connectionsMax: 3 });
  const { post, waitedMs } = createTransferRepository(db);
  const groupCommit = new GroupCommit({
    post,
    waitedMs,
    isTransient,
    batchItemsMax,
    waitingItemsMax: 4096,
  });
  return { groupCommit, close: () => db.end({ timeout: 5 }) };
}

function payment(key: string, debitAccountId: string, creditAccountId: string, amount: number): PostRequest {
  const id = crypto.randomUUID();
  const orders = [{ id, debitAccountId, creditAccountId, amount, reference: null, metadata: {} }];
  return { owner: 'owner', key, fingerprint: fingerprintOf('/', false, orders), atomic: false, orders };
}

describe.each(availableEngines())('on the %s PostgreSQL', (engine) => {
  test(
    'two workers that post on the same accounts in opposite directions never deadlock',
    () =>
      withDatabase(engine, async (sql, url, db) => {
        const ids = await insertAccounts(
          sql,
          Array.from({ length: 5 }, () => ({ ledger: 'EUR', allowNegative: true })),
        );
        const workers = [openWorker(url, 7), openWorker(url, 11)];
        const results = await Promise.all(
          workers.flatMap(({ groupCommit }, w) =>
            Array.from({ length: REQUESTS }, (_, i) => {
              const [a, b] = [ids[i % 5]!, ids[(i * 3 + 1 + w) % 5]!];
              return groupCommit.submit(payment(`${w}-${i}`, w === 0 ? a : b, w === 0 ? b : a, 1 + (i % 9)));
            }),
          ),
        );
        const outcomes = results.flatMap((result) => (result.state === 'fresh' ? result.items : []));
        expect(outcomes).toHaveLength(2 * REQUESTS);
        const posted = outcomes.filter(({ outcome }) => outcome === 'posted');
        expect(new Set(outcomes.map(({ outcome }) => outcome))).toEqual(new Set(['posted', 'same_account']));
        const [row] = await sql`
          SELECT sum(debits_posted)::bigint AS debits, sum(credits_posted)::bigint AS credits, sum(version)::bigint AS entries FROM accounts`;
        const moved = posted.reduce((sum, { transfer }) => sum + transfer!.amount, 0);
        expect(row!).toEqual({ debits: moved, credits: moved, entries: 2 * posted.length });
        expect(await discrepanciesOf(db)).toEqual([]);
        for (const { close } of workers) await close();
      }),
    SLOW_TEST_MS,
  );

  test(
    'however many workers send the same request concurrently, it has one effect and one response',
    () =>
      withDatabase(engine, async (sql, url) => {
        const [bank, shop] = await insertAccounts(sql, [
          { ledger: 'EUR', allowNegative: true },
          { ledger: 'EUR', allowNegative: false },
        ]);
        const workers = [openWorker(url), openWorker(url), openWorker(url)];
        const requests = Array.from({ length: 50 }, (_, i) => payment(`k${i}`, bank!, shop!, 3));
        const results = await Promise.all(
          workers.map(({ groupCommit }) =>
            Promise.all(requests.map((request) => groupCommit.submit(request))),
          ),
        );
        requests.forEach((_, i) => {
          const outcomes = results.map((result) => result[i]!);
          expect(outcomes.filter(({ state }) => state === 'fresh')).toHaveLength(1);
          expect(outcomes.filter(({ state }) => state === 'replayed')).toHaveLength(2);
          const items = outcomes.map((outcome) => (outcome.state === 'reused' ? [] : outcome.items));
          expect(items[1]!).toEqual(items[0]!);
          expect(items[2]!).toEqual(items[0]!);
        });
        const [row] = await sql`SELECT credits_posted, version FROM accounts WHERE id = ${shop!}`;
        expect(row!).toEqual({ creditsPosted: 150, version: 50 });
        for (const { close } of workers) await close();
      }),
    SLOW_TEST_MS,
  );

  test(
    'two workers cannot spend the same money twice',
    () =>
      withDatabase(engine, async (sql, url, db) => {
        const [bank, poor] = await insertAccounts(sql, [
          { ledger: 'EUR', allowNegative: true },
          { ledger: 'EUR', allowNegative: false },
        ]);
        const workers = [openWorker(url, 3), openWorker(url, 5)];
        await workers[0]!.groupCommit.submit(payment('fund', bank!, poor!, 100));
        const results = await Promise.all(
          workers.flatMap(({ groupCommit }, w) =>
            Array.from({ length: 80 }, (_, i) => groupCommit.submit(payment(`${w}-${i}`, poor!, bank!, 1))),
          ),
        );
        const outcomes = results.map((result) =>
          result.state === 'reused' ? 'reused' : result.items[0]!.outcome,
        );
        expect(outcomes.filter((outcome) => outcome === 'posted')).toHaveLength(100);
        expect(outcomes.filter((outcome) => outcome === 'insufficient_funds')).toHaveLength(60);
        expect(await discrepanciesOf(db)).toEqual([]);
        for (const { close } of workers) await close();
      }),
    SLOW_TEST_MS,
  );
});
