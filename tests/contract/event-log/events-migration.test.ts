import { describe, expect, test } from 'bun:test';
import { Incarnation } from '../../../src/adapters/postgres/incarnation.ts';
import { migrateDown, migrateUp, readMigrations } from '../../../src/adapters/postgres/migrations.ts';
import { openPostgres } from '../../../src/adapters/postgres/postgres.ts';
import { createRelayRepository } from '../../../src/features/events/relay/repository.ts';
import type { TransferRequest } from '../../../src/features/ledger/movement.ts';
import { createTransferRepository } from '../../../src/features/ledger/transfers/repository.ts';
import { createLedgerRepository } from '../../../src/features/ledger/verification/repository.ts';
import { availableEngines } from '../../support/database.ts';
import { until } from '../../support/until.ts';
import { insertAccounts, SLOW_TEST_MS, withDatabase } from '../ledger/ledger-database.ts';
import { postAsBefore } from '../ledger/post-as-before.ts';

const BEFORE_EVENTS = 2;

describe.each(availableEngines())('the migration that adds events, on the %s PostgreSQL', (engine) => {
  test(
    'runs while another host posts transfers: each has its events or an outbox row, and old code can open accounts',
    () =>
      withDatabase(engine, async (sql, url, db) => {
        const migrations = await readMigrations();
        await migrateDown(sql, migrations, migrations.length);
        // With the functions of that time, too.
        await migrateUp(sql, migrations.slice(0, BEFORE_EVENTS), []);
        const accounts = [crypto.randomUUID(), crypto.randomUUID()].sort();
        // Like the previous release, which knows no owners.
        const openAsBefore = (ids: readonly string[]) => sql`
          INSERT INTO accounts (id, ledger, allow_negative, metadata)
          SELECT id, 'EUR', true, '{}' FROM unnest(${ids}::uuid[]) id`;
        await openAsBefore(accounts);
        const old = openPostgres({ url, connectionsMax: 4, timeoutSeconds: 20 });
        let isMigrated = false;
        let posted = 0;
        const post = async (caller: number) => {
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
            const key = `${caller}-${i}`;
            await postAsBefore(old, { owner: 'owner', key, fingerprint, atomic: false, orders: [order] });
            posted++;
          }
        };
        const posting = Promise.all([post(0), post(1), post(2)]);
        await until(() => posted > 3);
        await migrateUp(sql, migrations);
        isMigrated = true;
        await posting;
        await old.end();
        const { transfers, discrepancies } = await createLedgerRepository(db).verify(null, 10);
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

describe.each(availableEngines())(
  'a transfer of a host of the previous release, on the %s PostgreSQL',
  (engine) => {
    test(
      'is moved to the log by the relay of this one, in order with the transfers around it',
      () =>
        withDatabase(engine, async (sql, _url, db) => {
          const [debitAccountId, creditAccountId] = (await insertAccounts(sql, [
            { ledger: 'EUR', allowNegative: true },
            { ledger: 'EUR', allowNegative: true },
          ])) as [string, string];
          const { post } = createTransferRepository(db);
          const requestOf = (key: string): TransferRequest => {
            const order = {
              id: crypto.randomUUID(),
              debitAccountId,
              creditAccountId,
              amount: 1,
              reference: null,
            };
            const orders = [{ ...order, metadata: {} }];
            return { owner: 'owner', key, fingerprint: '00'.repeat(32), atomic: false, orders };
          };
          await post([requestOf('first')]);
          await postAsBefore(sql, requestOf('second'));
          // As the function of that release wrote it, before it was replaced.
          const { count } = await sql`
            UPDATE outbox SET posted_at = NULL, debit_owner = NULL, credit_owner = NULL
            WHERE id = (SELECT max(id) FROM outbox) AND debit_owner = 'owner'`;
          expect(count).toBe(1);
          await post([requestOf('third')]);
          const relay = createRelayRepository(db, new Incarnation(db));
          const epoch = (await relay.take('relay', 60_000))!;
          expect(await relay.move(epoch, 1)).toEqual({ lastPosition: 2, moved: 1, sent: 2 });
          expect(await relay.move(epoch, 10)).toEqual({ lastPosition: 2, moved: null, sent: 0 });
          const rows = [...new Set((await relay.read(10, false)).unsent.map(({ rowId }) => rowId))];
          expect(await relay.mark(epoch, rows, [])).toEqual({ lastPosition: 6, sent: 4 });
          const events =
            await sql`SELECT owner, sequence FROM events WHERE key = ${debitAccountId} ORDER BY position`;
          expect([...events]).toEqual([1, 2, 3].map((sequence) => ({ owner: 'owner', sequence })));
          expect(await relay.move(epoch + 1, 10)).toBeNull();
        }),
      SLOW_TEST_MS,
    );

    test(
      'leaves an outbox that costs nothing to check once it is empty',
      () =>
        withDatabase(engine, async (sql, _url, db) => {
          const relay = createRelayRepository(db, new Incarnation(db));
          const epoch = (await relay.take('relay', 60_000))!;
          expect(await relay.move(epoch, 10)).toEqual({ lastPosition: 0, moved: 0, sent: 0 });
          expect(await relay.move(epoch + 1, 10)).toBeNull();
          await sql.begin(async (tx) => {
            await tx`SELECT move_outbox(${epoch}, 10)`;
            // Only a transaction that writes or locks a row has an ID, and is flushed to disk.
            const [row] = await tx`SELECT pg_current_xact_id_if_assigned() AS id`;
            expect(row!.id).toBeNull();
          });
        }),
      SLOW_TEST_MS,
    );
  },
);
