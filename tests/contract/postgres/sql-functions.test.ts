import { describe, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  isMigrated,
  type Migration,
  migrateDown,
  migrateUp,
  readMigrations,
} from '../../../src/adapters/postgres/migrations.ts';
import type { Sql } from '../../../src/adapters/postgres/postgres.ts';
import { readSqlFunctions, type SqlFunction } from '../../../src/adapters/postgres/sql-functions.ts';
import { fingerprintOf, type TransferRequest } from '../../../src/features/ledger/movement.ts';
import { createTransferRepository } from '../../../src/features/ledger/transfers/repository.ts';
import { availableEngines } from '../../support/database.ts';
import { discrepanciesOf, insertAccounts, SLOW_TEST_MS, withDatabase } from '../ledger/ledger-database.ts';
import { postAsBefore } from '../ledger/post-as-before.ts';

const NEXT_MIGRATION: Migration = {
  number: (await readMigrations()).length + 1,
  name: 'next',
  up: 'CREATE TABLE next (id int)',
  down: 'DROP TABLE next',
};
/** A function of a later release, which needs the next migration. Its argument keeps the table from being dropped. */
const greeting = (number: number, text: string): SqlFunction => ({
  name: 'greeting',
  number,
  migration: NEXT_MIGRATION.number,
  script: `CREATE OR REPLACE FUNCTION greeting(n next) RETURNS text LANGUAGE sql AS $$ SELECT '${text}' $$;`,
});
const greet = async (sql: Sql) => (await sql`SELECT greeting(NULL) AS text`)[0]!.text;
const numbersOf = async (sql: Sql) => {
  const rows = await sql<{ name: string; number: number }[]>`SELECT name, number FROM sql_functions`;
  return new Map(rows.map(({ name, number }) => [name, number]));
};

describe.each(availableEngines())('SQL functions on the %s PostgreSQL', (engine) => {
  test(
    'are reinstalled when their number rises, and never replaced by a lower one',
    () =>
      withDatabase(engine, async (sql) => {
        const migrations = [...(await readMigrations()), NEXT_MIGRATION];
        const up = (functions: SqlFunction[]) => migrateUp(sql, migrations, functions);
        const [one, two] = [greeting(1, 'one'), greeting(2, 'two')];
        expect((await up([one])).functions).toEqual([one]);
        expect(await greet(sql)).toBe('one');
        expect((await up([one])).functions).toEqual([]);
        expect((await up([two])).functions).toEqual([two]);
        expect(await greet(sql)).toBe('two');
        // A host of the previous release restarts, or the release is rolled back.
        expect((await up([one])).functions).toEqual([]);
        expect(await greet(sql)).toBe('two');
        expect((await numbersOf(sql)).get('greeting')).toBe(2);
      }),
    SLOW_TEST_MS,
  );

  test(
    'with a changed body and the same number are rejected before anything is applied',
    () =>
      withDatabase(engine, async (sql) => {
        const migrations = await readMigrations();
        const changed = (await readSqlFunctions()).map((each) => ({ ...each, script: `${each.script} ` }));
        const refused = migrateUp(sql, [...migrations, NEXT_MIGRATION], changed);
        await expect(refused).rejects.toThrow(/was changed after it was installed\.\n {2}why: .*\n {2}do: /);
        expect((await sql`SELECT to_regclass('next') AS name`)[0]!.name).toBeNull();
      }),
    SLOW_TEST_MS,
  );

  test(
    'that fail leave the old function and its number',
    () =>
      withDatabase(engine, async (sql) => {
        const migrations = [...(await readMigrations()), NEXT_MIGRATION];
        await migrateUp(sql, migrations, [greeting(1, 'one')]);
        const broken = { ...greeting(2, ''), script: 'CREATE OR REPLACE FUNCTION greeting(n next) nonsense' };
        await expect(migrateUp(sql, migrations, [broken])).rejects.toThrow('nonsense');
        expect(await greet(sql)).toBe('one');
        expect((await numbersOf(sql)).get('greeting')).toBe(1);
      }),
    SLOW_TEST_MS,
  );

  test(
    'are dropped with the migration that they need, and installed only after it',
    () =>
      withDatabase(engine, async (sql) => {
        const migrations = await readMigrations();
        const withNext = [...migrations, NEXT_MIGRATION];
        await migrateUp(sql, withNext, [greeting(1, 'one')]);
        await migrateDown(sql, withNext);
        expect((await numbersOf(sql)).has('greeting')).toBe(false);
        expect(await sql`SELECT FROM pg_proc WHERE proname = 'greeting'`).toHaveLength(0);
        expect((await migrateUp(sql, migrations, [greeting(1, 'one')])).functions).toEqual([]);
        // A number whose record was deleted may be reused with a different body.
        await migrateUp(sql, withNext, [greeting(1, 'another one')]);
        expect(await greet(sql)).toBe('another one');
      }),
    SLOW_TEST_MS,
  );

  test(
    'that are missing or older than those of the release make a database not ready; newer ones do not',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        expect(await isMigrated(db)).toBe(true);
        await sql`UPDATE sql_functions SET number = number + 1`;
        expect(await isMigrated(db)).toBe(true);
        await sql`DELETE FROM sql_functions WHERE name = 'refuse_change'`;
        expect(await isMigrated(db)).toBe(false);
        await migrateUp(sql, await readMigrations());
        expect(await isMigrated(db)).toBe(true);
        await migrateDown(sql, await readMigrations());
        expect(await isMigrated(db)).toBe(false);
      }),
    SLOW_TEST_MS,
  );

  test(
    'keep the arguments and results that the previous release uses',
    () =>
      withDatabase(engine, async (sql) => {
        const signatures = async () => [
          ...(await sql`
            SELECT proname, pg_get_function_arguments(oid) AS arguments, pg_get_function_result(oid) AS result
            FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1, 2`),
        ];
        const today = await signatures();
        const migrations = await readMigrations();
        await migrateDown(sql, migrations, migrations.length);
        await migrateUp(sql, migrations, []);
        expect(today).toEqual(expect.arrayContaining(await signatures()));
      }),
    SLOW_TEST_MS,
  );

  test(
    'post batches of this release and of the previous one alternately, with the same results',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const [bank, alice] = (await insertAccounts(sql, [
          { ledger: 'EUR', allowNegative: true },
          { ledger: 'EUR', allowNegative: false },
        ])) as [string, string];
        const { post } = createTransferRepository(db);
        const postToday = async (request: TransferRequest) => {
          const [result] = await post([request]);
          if (result!.state === 'reused') return { state: result!.state, outcomes: null };
          return { state: result!.state, outcomes: result!.items.map(({ outcome }) => outcome) };
        };
        const callers = [postToday, (request: TransferRequest) => postAsBefore(sql, request)];
        for (let round = 0; round < 4; round++) {
          const [here, there] = round % 2 === 0 ? callers : callers.toReversed();
          const requests = [
            requestOf(`pay ${round}`, [[bank, alice, 100]]),
            // Alice has 100 of this round, and 1 of each round before.
            requestOf(`spend ${round}`, [
              [alice, bank, 99],
              [alice, bank, 1000],
            ]),
            requestOf(
              `atomic ${round}`,
              [
                [alice, bank, 1],
                [alice, alice, 1],
              ],
              true,
            ),
            requestOf(`unknown ${round}`, [[crypto.randomUUID(), bank, 1]]),
          ];
          const expected = [
            ['posted'],
            ['posted', 'insufficient_funds'],
            ['rolled_back', 'same_account'],
            ['unknown_account'],
          ];
          for (const [i, request] of requests.entries()) {
            // A retry after a failover may reach a host of the other release.
            const outcomes = expected[i]!;
            expect(await here!(request)).toEqual({ state: 'fresh', outcomes });
            expect(await there!(request)).toEqual({ state: 'replayed', outcomes });
            const other = { ...request, fingerprint: '11'.repeat(32) };
            expect((await there!(other)).state).toBe('reused');
          }
        }
        const [account] =
          await sql`SELECT credits_posted - debits_posted AS balance, version FROM accounts WHERE id = ${alice}`;
        expect(account!).toEqual({ balance: 4, version: 8 });
        expect(await discrepanciesOf(db)).toEqual([]);
      }),
    SLOW_TEST_MS,
  );
});

function requestOf(
  key: string,
  payments: readonly (readonly [debit: string, credit: string, amount: number])[],
  atomic = false,
): TransferRequest {
  const orders = payments.map(([debitAccountId, creditAccountId, amount]) => ({
    id: crypto.randomUUID(),
    debitAccountId,
    creditAccountId,
    amount,
    reference: null,
    metadata: {},
  }));
  return { owner: 'owner', key, fingerprint: fingerprintOf('/', atomic, orders), atomic, orders };
}

describe('the folder of SQL functions is refused when', () => {
  test('a file has no number', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'atlas-functions-'));
    await writeFile(join(folder, 'nameless.sql'), 'CREATE OR REPLACE FUNCTION nameless() …');
    await expect(readSqlFunctions(folder)).rejects.toThrow('sql/functions/nameless.sql has no number');
    await rm(folder, { recursive: true });
  });
});
