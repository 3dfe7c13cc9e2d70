import { describe, expect, test } from 'bun:test';
import type { Database } from '../../../src/adapters/postgres/database.ts';
import type { Sql } from '../../../src/adapters/postgres/postgres.ts';
import type { Path } from '../../../src/features/ledger/graph/domain.ts';
import {
  ACCOUNT_TRANSFERS_MAX,
  createGraphRepository,
  END_TRANSFERS_MAX,
  NEIGHBOR_TRANSFERS_MAX,
  PATHS_MAX,
} from '../../../src/features/ledger/graph/repository.ts';
import { availableEngines } from '../../support/database.ts';
import { insertAccounts, SLOW_TEST_MS, withDatabase } from './ledger-database.ts';
import { insertTransfers, type Payment, simplePaths, timeOf } from './money-graph.ts';

const HUB_TRANSFERS = 100_000;
const RANDOM_GRAPHS = 12;

const accountsOf = ({ edges }: Path) => [
  edges[0]!.debitAccountId,
  ...edges.map(({ creditAccountId }) => creditAccountId),
];

function openAccounts(sql: Sql, count: number, owner = 'owner') {
  return insertAccounts(
    sql,
    Array.from({ length: count }, () => ({ ledger: 'EUR', allowNegative: true, owner })),
  );
}

function graphOf(db: Database, owner = 'owner') {
  const repository = createGraphRepository(db);
  return {
    neighbors: (accountId: string, rest: object = {}) =>
      repository.neighbors({ owner, accountId, after: null, since: null, limit: 200, ...rest }),
    ways: (from: string, to: string, depthMax: number, since: Date | null = null) =>
      repository.ways({ owner, from, to, depthMax, since }),
  };
}

describe.each(availableEngines())('on the %s PostgreSQL', (engine) => {
  test(
    'neighbors have the sums, counts, and times of both directions, on pages that stay as they were',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const [me, a, b, c] = (await openAccounts(sql, 4)) as [string, string, string, string];
        await insertTransfers(sql, [
          [me, a, 10],
          [a, me, 3],
          [me, a, 20],
          [b, me, 7],
          [a, b, 500],
          [me, c, 7],
        ]);
        const { neighbors } = graphOf(db);
        const of = (amount: number, transfers: number, first: number, last: number) => ({
          amount,
          transfers,
          firstAt: timeOf(first),
          lastAt: timeOf(last),
        });
        const toA = { accountId: a, isOwn: true, sent: of(30, 2, 0, 2), received: of(3, 1, 1, 1) };
        const toB = { accountId: b, isOwn: true, sent: null, received: of(7, 1, 3, 3) };
        const toC = { accountId: c, isOwn: true, sent: of(7, 1, 5, 5), received: null };
        const equals = [toB, toC].sort((x, y) => (x.accountId < y.accountId ? -1 : 1));
        const all = await neighbors(me);
        expect(all).toEqual({ neighbors: [toA, ...equals], next: null, truncated: false, transfersRead: 5 });

        const first = (await neighbors(me, { limit: 1 }))!;
        expect(first).toMatchObject({ neighbors: [toA], truncated: false });
        await insertTransfers(sql, [[me, c, 1_000_000]]);
        const second = (await neighbors(me, { limit: 1, after: first.next }))!;
        const third = (await neighbors(me, { limit: 1, after: second.next }))!;
        expect([...second.neighbors, ...third.neighbors]).toEqual(equals);
        expect(third.next).toBeNull();
      }),
    SLOW_TEST_MS,
  );

  test(
    'only transfers since a time count, in neighbors and on paths',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const [a, b, c] = (await openAccounts(sql, 3)) as [string, string, string];
        await insertTransfers(sql, [
          [a, b, 1],
          [a, b, 10],
          [b, c, 100],
          [c, a, 1000],
        ]);
        const { neighbors, ways } = graphOf(db);
        const from = (n: number) => new Date(timeOf(n));
        const sums = async (since: Date | null) =>
          (await ways(a, a, 3, since)).paths.map(({ edges }) => edges.map(({ amount }) => amount));
        expect([await sums(null), await sums(from(1)), await sums(from(2))]).toEqual([
          [[11, 100, 1000]],
          [[10, 100, 1000]],
          [],
        ]);
        const late = await neighbors(a, { since: from(1) });
        expect(late!.neighbors.map(({ sent, received }) => [sent?.amount, received?.amount])).toEqual([
          [undefined, 1000],
          [10, undefined],
        ]);
        expect((await neighbors(a, { since: from(9) }))!.neighbors).toEqual([]);
      }),
    SLOW_TEST_MS,
  );

  test(
    'paths and cycles of random graphs are those that a search of all possibilities finds, at every depth',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        for (let graph = 0; graph < RANDOM_GRAPHS; graph++) {
          const ids = await openAccounts(sql, 7);
          const any = () => ids[Math.floor(Math.random() * ids.length)]!;
          const payments = Array.from({ length: 6 + graph }, (): Payment => [any(), any(), 1 + graph]).filter(
            ([debit, credit]) => debit !== credit,
          );
          await insertTransfers(sql, payments);
          const { ways } = graphOf(db);
          for (let depthMax = 1; depthMax <= 6; depthMax++)
            for (const [from, to] of [
              [ids[0]!, ids[1]!],
              [ids[0]!, ids[0]!],
            ] as const) {
              const found = (await ways(from, to, depthMax)).paths.map(accountsOf);
              const expected = simplePaths(payments, from, to, depthMax);
              expect({ payments, depthMax, found }).toEqual({ payments, depthMax, found: expected });
            }
        }
      }),
    SLOW_TEST_MS,
  );

  test(
    'a hub of 100,000 transfers stays within the bounds, says so, and hides no ring beside it',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const [hub, ...others] = (await openAccounts(sql, 999)) as [string, ...string[]];
        const ring = (await openAccounts(sql, 6)) as [string, ...string[]];
        const payments = ring.map((id, i): Payment => [id, ring[(i + 1) % ring.length]!, 5000 + i]);
        for (let i = 0; i < HUB_TRANSFERS; i++) {
          const other = others[(i * 7) % others.length]!;
          payments.push(i % 3 === 0 ? [other, hub, 5] : [hub, other, 5]);
        }
        payments.push([hub, ring[0]!, 1], [ring[3]!, hub, 1], [ring[0]!, hub, 1]);
        await insertTransfers(sql, payments);
        const { neighbors, ways } = graphOf(db);

        const found = await ways(ring[0], ring[0], 6);
        const [planted] = found.paths.filter(({ edges }) => edges.length === 6 && edges[0]!.amount === 5000);
        expect(planted!.edges.map(({ amount }) => amount)).toEqual([5000, 5001, 5002, 5003, 5004, 5005]);
        expect(found.transfersRead).toBeLessThanOrEqual(2 * END_TRANSFERS_MAX);

        const near = (await neighbors(hub))!;
        expect(near).toMatchObject({ truncated: true, transfersRead: NEIGHBOR_TRANSFERS_MAX });
        // The time of the oldest of the newest transfers: from then on, nothing is missing.
        const newest = new Date(timeOf(payments.length - 100));
        expect(await neighbors(hub, { since: newest })).toMatchObject({ truncated: false });

        for (const depthMax of [2, 3, 6]) {
          const { paths, truncated, transfersRead } = await ways(hub, hub, depthMax);
          expect({ depthMax, truncated }).toEqual({ depthMax, truncated: true });
          expect(paths.length).toBeLessThanOrEqual(PATHS_MAX);
          expect(transfersRead).toBeLessThanOrEqual(2 * END_TRANSFERS_MAX);
          // There is far more, so only the bounds have ended it.
          if (depthMax === 6) expect(transfersRead).toBeGreaterThan(1.8 * END_TRANSFERS_MAX);
          if (depthMax === 2) expect(transfersRead).toBe(2 * (ACCOUNT_TRANSFERS_MAX + 1));
        }
      }),
    SLOW_TEST_MS,
  );

  test(
    'no path leads through an account of another organization, though the transfers on both sides are visible',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const [a, b, c] = (await openAccounts(sql, 3)) as [string, string, string];
        const [x, y, z] = (await openAccounts(sql, 3, 'umbrella')) as [string, string, string];
        await insertTransfers(sql, [
          [a, x, 1],
          [x, b, 2],
          [x, y, 4],
          [a, c, 8],
          [c, y, 16],
          [y, z, 32],
          [z, a, 64],
          [c, a, 128],
        ]);
        const [ours, theirs] = [graphOf(db), graphOf(db, 'umbrella')];
        const amounts = async (ways: ReturnType<typeof ours.ways>) =>
          (await ways).paths.map(({ edges }) => edges.map(({ amount }) => amount));
        // As leaves, they end a path.
        expect(await amounts(ours.ways(a, x, 6))).toEqual([[1]]);
        expect(await amounts(ours.ways(a, y, 6))).toEqual([[8, 16]]);
        expect(await amounts(ours.ways(a, b, 6))).toEqual([]);
        expect(await amounts(ours.ways(a, z, 6))).toEqual([]);
        expect(await amounts(ours.ways(a, a, 6))).toEqual([[8, 128]]);
        // From an account of others, nothing is found, and they have no neighbors.
        expect(await ours.ways(x, b, 6)).toEqual({ paths: [], truncated: false, transfersRead: 1 });
        expect(await ours.ways(x, y, 1)).toEqual({ paths: [], truncated: false, transfersRead: 0 });
        expect(await ours.neighbors(x)).toBeNull();
        const leaves = (await ours.neighbors(c))!.neighbors.map(({ accountId, isOwn }) => [accountId, isOwn]);
        expect(new Map(leaves as [string, boolean][])).toEqual(
          new Map([
            [a, true],
            [y, false],
          ]),
        );
        expect(await amounts(theirs.ways(x, a, 6))).toEqual([[4, 32, 64]]);

        await sql`UPDATE transfer_id_secret SET isolates_owners = false`;
        expect(await amounts(ours.ways(a, b, 6))).toEqual([[1, 2]]);
        expect(await amounts(ours.ways(x, y, 1))).toEqual([[4]]);
      }),
    SLOW_TEST_MS,
  );
});
