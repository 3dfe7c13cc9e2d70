import { describe, expect, test } from 'bun:test';
import { migrateDown, migrateUp, readMigrations } from '../../../src/adapters/postgres/migrations.ts';
import { createTransferRepository } from '../../../src/features/ledger/transfers/repository.ts';
import { createLedgerRepository } from '../../../src/features/ledger/verification/repository.ts';
import { availableEngines, openTestDatabase } from '../../support/database.ts';
import { until } from '../../support/until.ts';
import { insertAccounts, SLOW_TEST_MS, withDatabase } from '../ledger/ledger-database.ts';

const BEFORE_EVENTS = 2;

describe.each(availableEngines())('the migration that adds events, on the %s PostgreSQL', (engine) => {
  test(
    'runs while another host posts transfers: each has its events or an outbox row, and old code can open accounts',
    () =>
      withDatabase(engine, async (sql, url, db) => {
        const migrations = await readMigrations();
        await migrateDown(sql, migrations, migrations.length - BEFORE_EVENTS);
        const accounts = [crypto.randomUUID(), crypto.randomUUID()].sort();
        // Like the previous release, which knows no owners.
        const openAsBefore = (ids: readonly string[]) => sql`
          INSERT INTO accounts (id, ledger, allow_negative, metadata)
          SELECT id, 'EUR', true, '{}' FROM unnest(${ids}::uuid[]) id`;
        await openAsBefore(accounts);
        const old = openTestDatabase(url, { connectionsMax: 4 });
        let isMigrated = false;
        let posted = 0;
        const post = async (caller: number) => {
          const { post } = createTransferRepository(old);
          for (let i = 0; !isMigrated || i < 20; i++) {
            const [debitAccountId, creditAccountId] = accounts as [string, string];
            const order = {
              id: crypto.randomUUID(),
              debitAccountId,
              creditAccountId,
              amount: 1,
              reference: null,
              metadata: {},
            };
            const fingerprint = '00'.repeat(32);
            await post([
              { owner: 'owner', key: `${caller}-${i}`, fingerprint, atomic: false, orders: [order] },
            ]);
            posted++;
          }
        };
        const posting = Promise.all([post(0), post(1), post(2)]);
        await until(() => posted > 3);
        await migrateUp(sql, migrations);
        isMigrated = true;
        await posting;
        await old.end();
        const { transfers, discrepancies } = await createLedgerRepository(db).verify(10);
        expect({ transfers, discrepancies }).toEqual({ transfers: posted, discrepancies: [] });
        const [{ logged, waiting }] = await sql<[{ logged: number; waiting: number }]>`
          SELECT (SELECT count(*) FROM events) AS logged, (SELECT count(*) FROM outbox) AS waiting`;
        expect(logged / 2 + waiting).toBe(posted);
        const gaps = await sql`
          SELECT FROM (SELECT position, sequence, row_number() OVER (PARTITION BY key ORDER BY position) AS place,
                              row_number() OVER (ORDER BY position) AS n FROM events) e
           WHERE sequence <> place OR position <> n`;
        expect(gaps).toHaveLength(0);
        await openAsBefore([crypto.randomUUID()]);
        expect(await insertAccounts(sql, [{ ledger: 'EUR', allowNegative: false }])).toHaveLength(1);
      }),
    SLOW_TEST_MS,
  );
});
