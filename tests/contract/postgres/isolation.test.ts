import { describe, expect, test } from 'bun:test';
import type { Database } from '../../../src/adapters/postgres/database.ts';
import { readIsolation } from '../../../src/adapters/postgres/isolation.ts';
import { migrateDown, migrateUp, readMigrations } from '../../../src/adapters/postgres/migrations.ts';
import type { Sql } from '../../../src/adapters/postgres/postgres.ts';
import { switchIsolation } from '../../../src/adapters/postgres/switch-isolation.ts';
import { createAccountRepository } from '../../../src/features/ledger/accounts/repository.ts';
import { availableEngines } from '../../support/database.ts';
import { insertAccounts, SLOW_TEST_MS, withDatabase } from '../ledger/ledger-database.ts';

const BEFORE_ISOLATION = 14;
const ACCOUNT = { ledger: 'EUR', allowNegative: true };

/** Reverts to the release before, arranges what it has left, and migrates again. */
async function upgrade(sql: Sql, arrange: () => Promise<unknown>): Promise<void> {
  const migrations = await readMigrations();
  await migrateDown(sql, migrations, migrations.length - BEFORE_ISOLATION);
  await arrange();
  await migrateUp(sql, migrations);
}

async function indexOf(sql: Sql): Promise<string> {
  const [row] = await sql`
    SELECT indisvalid AS is_valid FROM pg_index WHERE indexrelid = to_regclass('accounts_by_owner')`;
  return row === undefined ? 'none' : row.isValid ? 'valid' : 'invalid';
}

const turn = (db: Database, isOn: boolean, onProgress?: (text: string) => void) =>
  switchIsolation(db, isOn, { kind: 'command', id: 'test' }, 'operators', onProgress);
const addAccount = (sql: Sql) => sql`
  INSERT INTO accounts (id, owner, ledger, allow_negative, metadata)
  VALUES (gen_random_uuid(), 'acme', 'EUR', true, '{}')`;
const addKey = (sql: Sql) => sql`
  INSERT INTO api_keys (id, owner, name, secret_hash, scopes)
  VALUES ('key', 'acme', 'key', decode(repeat('00', 32), 'hex'), '{}')`;

describe.each(availableEngines())('isolation on the %s PostgreSQL', (engine) => {
  test(
    'is on in a new database, and off in one that a release before has used',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        expect([await readIsolation(db), await indexOf(sql)]).toEqual([
          { isOn: true, hasFormerHosts: false },
          'valid',
        ]);
        await upgrade(sql, async () => {});
        expect((await readIsolation(db)).isOn).toBe(true);
        await upgrade(sql, () => addKey(sql));
        expect([(await readIsolation(db)).isOn, await indexOf(sql)]).toEqual([false, 'valid']);
        await upgrade(sql, () => sql`DELETE FROM api_keys`.then(() => addAccount(sql)));
        expect([(await readIsolation(db)).isOn, await indexOf(sql)]).toEqual([false, 'none']);
      }),
    SLOW_TEST_MS,
  );

  test(
    'is turned on by several hosts at once, with the index that lists need, while accounts change',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        await insertAccounts(sql, Array(50).fill(ACCOUNT));
        await upgrade(sql, async () => {});
        expect(await indexOf(sql)).toBe('none');
        // What a process that was killed while it built the index leaves behind.
        await sql`CREATE INDEX accounts_by_owner ON accounts (owner, created_at, id)`;
        await sql`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'accounts_by_owner'::regclass`;
        let changes = 0;
        let isDone = false;
        const changing = (async () => {
          for (; !isDone; changes++) await sql`UPDATE accounts SET version = version`;
        })();
        const steps: string[] = [];
        await Promise.all([1, 2].map(() => turn(db, true, (text) => steps.push(text))));
        isDone = true;
        await changing;
        expect(steps).toEqual(['building the index of accounts by organization']);
        expect([await readIsolation(db), await indexOf(sql), changes > 0]).toEqual([
          { isOn: true, hasFormerHosts: false },
          'valid',
          true,
        ]);
        await turn(db, false);
        expect((await readIsolation(db)).isOn).toBe(false);
        // Once per change, whoever was first.
        const audited = await sql`SELECT organization, action, before, after FROM audit_entries ORDER BY id`;
        expect(audited.slice()).toEqual([
          {
            organization: 'operators',
            action: 'isolation.turned_on',
            before: { isOn: false },
            after: { isOn: true },
          },
          {
            organization: 'operators',
            action: 'isolation.turned_off',
            before: { isOn: true },
            after: { isOn: false },
          },
        ]);
        const [timeout] = await sql`SELECT count(*)::int AS held FROM pg_locks WHERE locktype = 'advisory'`;
        expect(timeout!.held).toBe(0);
      }),
    SLOW_TEST_MS,
  );

  test(
    'is not turned on while a host runs that does not isolate',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        await turn(db, false);
        await sql`INSERT INTO incarnations (id, expires_at) VALUES ('former', now() + interval '1 minute')`;
        const refused = turn(db, true);
        await expect(refused).rejects.toThrow('a host of a release before isolation is running');
        expect((await readIsolation(db)).isOn).toBe(false);
        await sql`UPDATE incarnations SET expires_at = now() + interval '1 second'`;
        await turn(db, true);
        expect((await readIsolation(db)).isOn).toBe(true);
      }),
    SLOW_TEST_MS,
  );

  test(
    'reads a list of accounts by an index, whether it is on or off',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        await sql`
          INSERT INTO accounts (id, owner, ledger, allow_negative, metadata, created_at)
          SELECT gen_random_uuid(), 'o' || n % 1000, 'EUR', true, '{}', now() + n * interval '1 second'
            FROM generate_series(1, 20000) n`;
        await sql`ANALYZE accounts`;
        for (const isOn of [true, false]) {
          await turn(db, isOn);
          expect((await createAccountRepository(db).list('o7', null, 10)).accounts).toHaveLength(10);
          const plan = await sql.unsafe(
            `EXPLAIN SELECT * FROM (
               (SELECT * FROM accounts WHERE (SELECT isolates_owners FROM transfer_id_secret) AND owner = 'o7'
                 ORDER BY created_at, id LIMIT 11)
               UNION ALL
               (SELECT * FROM accounts WHERE NOT (SELECT isolates_owners FROM transfer_id_secret)
                 ORDER BY created_at, id LIMIT 11)) page`,
          );
          const text = plan.map((row) => Object.values(row)[0]).join('\n');
          expect(text).toContain('accounts_by_owner');
          expect(text).toContain('accounts_by_age');
          expect(text).not.toContain('Seq Scan on accounts');
          expect(text.match(/One-Time Filter/g)).toHaveLength(2);
        }
      }),
    SLOW_TEST_MS,
  );
});
