import { describe, expect, test } from 'bun:test';
import { readSqlFunctions } from '../../../src/adapters/postgres/sql-functions.ts';
import { availableEngines } from '../../support/database.ts';
import { discrepanciesOf, SLOW_TEST_MS, withDatabase } from './ledger-database.ts';
import { violationsOf } from './movement-invariants.ts';
import { runPrograms } from './movement-programs.ts';

const RUNS = 100;
/** Mistakes that the programs must find: the function, its text, and what it is replaced with. */
const PLANTED: readonly (readonly [what: string, name: string, text: string, replacement: string])[] = [
  ['what is reserved can be spent', 'lock_accounts', 'ELSE 0 END) + l.debits_pending', 'ELSE 0 END)'],
  ['a ceiling ignores what is pending', 'lock_accounts', 'unlimited) - l.credits_pending', 'unlimited)'],
  ['a frozen account is debited', 'lock_accounts', "WHEN l.debits_frozen THEN 'account_frozen' END", 'END'],
  ['an expired hold is posted', 'post_movements', 'posted_at >= h_expires[h]', 'false'],
  ['a settled hold is posted', 'post_movements', "WHEN h_state[h] <> 'pending' THEN 'hold_settled'", ''],
  ['more than a hold is posted', 'post_movements', "WHEN amount > remaining THEN 'hold_amount_exceeded'", ''],
  ['the rest is kept unasked', 'post_movements', "kind = 'post' AND p_keeps_rest[i]", "kind = 'post'"],
  ['the rest is released unasked', 'post_movements', "kind = 'post' AND p_keeps_rest[i]", 'false'],
  [
    'others post a hold',
    'post_movements',
    "WHEN isolates AND a_owner[d] <> payer THEN 'unknown_account'",
    '',
  ],
  [
    'a payee that is frozen shows',
    'post_movements',
    'CASE WHEN is_own THEN a_no_credit[c] ELSE',
    'CASE WHEN true THEN a_no_credit[c] ELSE',
  ],
  [
    'more than a transfer is reversed',
    'post_movements',
    "WHEN kind = 'reverse' AND amount > remaining",
    'WHEN false',
  ],
  [
    'a reversal overdraws',
    'post_movements',
    'a_floor[d] AND NOT is_forced',
    "a_floor[d] AND kind <> 'reverse'",
  ],
  [
    'a refused set keeps its reservation',
    'post_movements',
    'a_held_debits[d] := a_held_debits[d] + released;',
    '',
  ],
  ['a refused set keeps its reversal', 'post_movements', 't_reversed[t] := t_reversed[t] - amount;', 'NULL;'],
  [
    'a hold takes room of an account of others',
    'post_movements',
    'h_reserves[h] := is_own',
    'h_reserves[h] := true',
  ],
  ['expiry releases too much', 'expire_holds', 'h.amount - h.posted, 0), (', 'h.amount, 0), ('],
];

describe.each(availableEngines())('post_movements on the %s PostgreSQL', (engine) => {
  test.each([
    ['everybody shares the accounts', false],
    ['organizations are isolated', true],
  ])(
    'gives the outcomes of an in-memory model for transfers, holds, posts, voids, and reversals, if %s',
    (_, isolates) =>
      withDatabase(engine, async (sql, _url, db) => {
        await runPrograms(sql, db, isolates, { numRuns: RUNS, shrinks: true });
        expect(await violationsOf(sql)).toEqual([]);
        expect(await discrepanciesOf(db)).toEqual([]);
      }),
    SLOW_TEST_MS,
  );
});

test.each(PLANTED)(
  'the programs notice if %s',
  (what, name, text, replacement) =>
    withDatabase(availableEngines().at(-1)!, async (sql, _url, db) => {
      const { script } = (await readSqlFunctions()).find((each) => each.name === name)!;
      expect(script.split(text)).toHaveLength(2);
      await sql.unsafe(script.replace(text, () => replacement));
      // Where all share the accounts, more of a program takes effect.
      const isIsolated = /others|payee/.test(what);
      await expect(
        runPrograms(sql, db, isIsolated, { numRuns: 10 * RUNS, shrinks: false }),
      ).rejects.toThrow();
    }),
  2 * SLOW_TEST_MS,
);
