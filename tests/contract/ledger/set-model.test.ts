import { describe, expect, test } from 'bun:test';
import type { PostRequest } from '../../../src/features/ledger/movement.ts';
import { availableEngines } from '../../support/database.ts';
import { discrepanciesOf, SLOW_TEST_MS, withDatabase } from './ledger-database.ts';
import { violationsOf } from './movement-invariants.ts';
import { plantBug } from './planted-bugs.ts';
import { runSetPrograms } from './set-programs.ts';

const RUNS = 25;
/** Mistakes in SQL that the programs must find: the function, its text, and what it is replaced with. */
const PLANTED: readonly (readonly [what: string, functionName: string, text: string, replacement: string])[] =
  [
    [
      'accounts of others are liquidity accounts',
      'post_with_exchanges',
      'IF refused.is_of_others THEN p_credit[refused.item] := NULL; END IF;',
      '',
    ],
    [
      'an exchange stays on one ledger',
      'post_with_exchanges',
      'IF refused.is_one_ledger THEN p_credit[refused.item + 1] := p_debit[refused.item + 1]; END IF;',
      '',
    ],
    [
      'a replay records its exchanges again',
      'post_with_exchanges',
      "(states IS NULL OR states[p_request[x.item]] = 'fresh') AND",
      '',
    ],
    [
      'an exchange has the terms of another side',
      'post_with_exchanges',
      'x.fixed_side, post_with',
      "'source', post_with",
    ],
    [
      'an exchange has no event',
      'post_with_exchanges',
      'FROM owned o ORDER BY o.id',
      'FROM owned o WHERE false',
    ],
    [
      'a refused set keeps what it moved',
      'post_movements',
      'a_debits[d] := a_debits[d] - amount; a_credits',
      'a_credits',
    ],
    [
      'a refused set keeps its holds',
      'post_movements',
      'h_debit[h] := NULL; h_state[h] := NULL; h_item[h] := NULL;',
      'NULL;',
    ],
  ];
/** Mistakes in what a set is submitted as. */
const CHANGED: readonly (readonly [what: string, change: (request: PostRequest) => PostRequest])[] = [
  ['a set is not atomic', (request) => ({ ...request, atomic: false })],
  [
    'an exchange is not recorded',
    (request) => ({
      ...request,
      orders: request.orders.map((order) => {
        if (order.kind !== undefined) return order;
        const { exchange: _, ...transfer } = order;
        return transfer;
      }),
    }),
  ],
  [
    'a target is rounded to something else',
    (request) => ({
      ...request,
      orders: request.orders.map((order, i) => {
        const before = request.orders[i - 1];
        const isTarget = before?.kind === undefined && before?.exchange !== undefined;
        return order.kind === undefined && isTarget ? { ...order, amount: order.amount + 1 } : order;
      }),
    }),
  ],
];

describe.each(availableEngines())('sets on the %s PostgreSQL', (engine) => {
  test(
    'of concurrent callers take effect one after the other, each whole or not at all, and once whatever is repeated',
    () =>
      withDatabase(engine, async (sql, url, db) => {
        await runSetPrograms(sql, url, { numRuns: RUNS, shrinks: true });
        expect(await violationsOf(sql)).toEqual([]);
        expect(await discrepanciesOf(db)).toEqual([]);
      }),
    SLOW_TEST_MS,
  );

  test('an exchange that is at odds with its transfers is found by the verification', () =>
    withDatabase(engine, async (sql, url, db) => {
      await runSetPrograms(sql, url, { numRuns: 10, shrinks: false });
      await sql`ALTER TABLE exchanges DISABLE TRIGGER exchanges_immutable`;
      const [exchange] = await sql`
        UPDATE exchanges SET source_amount = 2000, target_amount = 2000, rate = 1
         WHERE id = (SELECT id FROM exchanges LIMIT 1) RETURNING id`;
      expect(await discrepanciesOf(db)).toMatchObject([{ kind: 'exchange_differs', at: exchange!.id }]);
    }));
});

const engine = availableEngines().at(-1)!;
test.each(PLANTED)(
  'the programs notice if %s',
  (what, functionName, text, replacement) =>
    withDatabase(engine, async (sql, url) => {
      await plantBug(sql, { what, isBetweenOrganizations: true, functionName, text, replacement });
      await expect(runSetPrograms(sql, url, { numRuns: 6 * RUNS, shrinks: false })).rejects.toThrow();
    }),
  2 * SLOW_TEST_MS,
);

test.each(CHANGED)(
  'the programs notice if %s',
  (_, change) =>
    withDatabase(engine, async (sql, url) => {
      await expect(runSetPrograms(sql, url, { numRuns: 6 * RUNS, shrinks: false, change })).rejects.toThrow();
    }),
  2 * SLOW_TEST_MS,
);
