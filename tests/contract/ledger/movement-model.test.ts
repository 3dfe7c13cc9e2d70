import { describe, expect, test } from 'bun:test';
import { availableEngines } from '../../support/database.ts';
import { discrepanciesOf, SLOW_TEST_MS, withDatabase } from './ledger-database.ts';
import { violationsOf } from './movement-invariants.ts';
import { runPrograms } from './movement-programs.ts';
import { PLANTED_BUGS, plantBug } from './planted-bugs.ts';

const RUNS = 100;
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

test.each(PLANTED_BUGS)(
  'the programs notice if $what',
  (bug) =>
    withDatabase(availableEngines().at(-1)!, async (sql, _url, db) => {
      await plantBug(sql, bug);
      // Where all share the accounts, more of a program takes effect.
      await expect(
        runPrograms(sql, db, bug.isBetweenOrganizations, { numRuns: 10 * RUNS, shrinks: false }),
      ).rejects.toThrow();
    }),
  2 * SLOW_TEST_MS,
);
