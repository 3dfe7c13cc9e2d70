import { describe, expect, test } from 'bun:test';
import { availableEngines } from '../../support/database.ts';
import { discrepanciesOf, SLOW_TEST_MS, withDatabase } from './ledger-database.ts';
import { runLimitPrograms } from './limit-programs.ts';
import { violationsOf } from './movement-invariants.ts';
import { plantBug } from './planted-bugs.ts';

const RUNS = 25;
/** Far more than any mistake needs to show. */
const RUNS_TO_NOTICE = 600;
/** Mistakes that the programs must find: the function, its text, and what it is replaced with. */
const PLANTED: readonly (readonly [what: string, functionName: string, text: string, replacement: string])[] =
  [
    [
      'an amount can be one too large',
      'use_limits',
      'p_used[b + 4] > p_most[b + 4] - p_amount',
      'p_used[b + 4] > p_most[b + 4] - p_amount + 1',
    ],
    [
      'a count can be one too many',
      'use_limits',
      'p_used[b + 3] >= p_most[b + 3]',
      'p_used[b + 3] > p_most[b + 3]',
    ],
    ['a transfer can be too large', 'use_limits', 'p_amount > p_most[b + 1] OR', ''],
    ['a limit of others shows', 'use_limits', 'IF p_is_own OR l <> ALL (of_others) THEN', 'IF true THEN'],
    [
      'a limit of others is not kept in an atomic request',
      'post_movements',
      'group_full OR is_full OR',
      'group_full OR',
    ],
    [
      'a refused set keeps what it used',
      'use_limits',
      'p_sign, b + 6, taken];',
      'p_sign, b + 6, greatest(taken, 0)];',
    ],
    [
      'a void gives nothing back',
      'use_limits',
      "p_sign * CASE WHEN p_kind = 'void' THEN p_remaining",
      "p_sign * CASE WHEN p_kind = 'void' THEN 0",
    ],
    [
      'a post of a part gives nothing back',
      'use_limits',
      'THEN p_remaining - p_amount ELSE 0',
      'THEN 0 ELSE 0',
    ],
    ['a hold gives back to another hour', 'lock_limits', 'WHEN hour = found.hours[l]', 'WHEN true'],
    ['a hold still counts when it has expired', 'expire_given_holds', 'PERFORM give_back_limits(due);', ''],
    ['a settled hold keeps its reservation', 'store_limits', "item IS NULL AND state <> 'pending'", 'false'],
    [
      'an hour never ends',
      'lock_limits',
      "greatest(hour_starts_at, date_trunc('hour', p_posted_at, 'UTC'))",
      'hour_starts_at',
    ],
    ['internal transfers count', 'counted_limits', 'p_rules[l] & 4 > 0 OR l <> ALL (of_credit)', 'true'],
    ['internal transfers count twice', 'counted_limits', 'AND p_rules[l] & 1 = 0', ''],
    [
      'a reversal counts',
      'use_limits',
      "takes boolean := p_kind = 'transfer'",
      "takes boolean := p_kind IN ('transfer', 'reverse')",
    ],
    [
      'an account that has left a group counts',
      'write_limit',
      'DELETE FROM limit_accounts WHERE limit_id = p_id AND account_id <> ALL (p_accounts);',
      '',
    ],
  ];

describe.each(availableEngines())('limits across accounts on the %s PostgreSQL', (engine) => {
  test(
    'refuse what an in-memory model refuses, and nothing else, and count the same',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        await runLimitPrograms(sql, db, { numRuns: RUNS, shrinks: true });
        expect(await violationsOf(sql)).toEqual([]);
        expect(await discrepanciesOf(db)).toEqual([]);
      }),
    2 * SLOW_TEST_MS,
  );
});

test.each(PLANTED)(
  'the programs notice if %s',
  (what, functionName, text, replacement) =>
    withDatabase(availableEngines().at(-1)!, async (sql, _url, db) => {
      await plantBug(sql, { what, isBetweenOrganizations: true, functionName, text, replacement });
      await expect(runLimitPrograms(sql, db, { numRuns: RUNS_TO_NOTICE, shrinks: false })).rejects.toThrow();
    }),
  2 * SLOW_TEST_MS,
);
