import { describe, expect, test } from 'bun:test';
import { migrateDown, migrateUp, readMigrations } from '../../../src/adapters/postgres/migrations.ts';
import { createTransferRepository } from '../../../src/features/ledger/transfers/repository.ts';
import { createTransferIds, deriveFormerId } from '../../../src/features/ledger/transfers/transfer-ids.ts';
import { availableEngines } from '../../support/database.ts';
import { insertAccounts, SLOW_TEST_MS, withDatabase } from './ledger-database.ts';
import { postAsBefore } from './post-as-before.ts';

const BEFORE_SECRET = 7;

describe.each(availableEngines())('on the %s PostgreSQL', (engine) => {
  test(
    'SQL derives the ids of transfers as TypeScript does',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const { readSecret } = createTransferRepository(db);
        const ids = createTransferIds(readSecret);
        await ids.ready();
        const sources: [string, string, number][] = [['Zoë & Söhne 🏦', 'k', 0]];
        for (let i = 0; i < 200; i++) sources.push([`owner ${i % 7}`, crypto.randomUUID(), i]);
        for (const source of sources) {
          const [row] = await sql`
            SELECT former, derive_transfer_id(secret, former) AS derived
            FROM transfer_id_secret CROSS JOIN (SELECT former_transfer_id(${source[0]}, ${source[1]}, ${source[2]}) AS former) f`;
          const { id, formerId } = ids.derive(...source);
          expect(row!).toEqual({ former: formerId, derived: id });
        }
        expect((await readSecret()).byteLength).toBe(32);
      }),
    SLOW_TEST_MS,
  );

  test(
    'each database has a secret of its own',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const { readSecret } = createTransferRepository(db);
        const [migrations, first] = [await readMigrations(), await readSecret()];
        await migrateDown(sql, migrations, migrations.length - BEFORE_SECRET);
        await migrateUp(sql, migrations);
        expect(Buffer.compare(first, await readSecret())).not.toBe(0);
      }),
    SLOW_TEST_MS,
  );

  test(
    'former ids are looked for if the database was in use before, or a former host posts',
    () =>
      withDatabase(engine, async (sql) => {
        const migrations = await readMigrations();
        const looks = async () =>
          (await sql`SELECT has_former_ids AS looks FROM transfer_id_secret`)[0]!.looks as boolean;
        const upgrade = async (arrange: () => Promise<unknown>) => {
          await migrateDown(sql, migrations, migrations.length - BEFORE_SECRET);
          await arrange();
          await migrateUp(sql, migrations);
          return looks();
        };
        expect(await looks()).toBe(false);
        const [debitAccountId, creditAccountId] = (await insertAccounts(sql, [
          { ledger: 'EUR', allowNegative: true },
          { ledger: 'EUR', allowNegative: true },
        ])) as [string, string];
        expect(await upgrade(async () => {})).toBe(false);
        const id = deriveFormerId('owner', 'key', 0);
        const order = { id, debitAccountId, creditAccountId, amount: 1, reference: null, metadata: {} };
        const request = { owner: 'owner', fingerprint: '00'.repeat(32), atomic: false, orders: [order] };
        expect(await postAsBefore(sql, { ...request, key: 'key' })).toMatchObject({ outcomes: ['posted'] });
        expect(await looks()).toBe(true);
        expect(await upgrade(async () => {})).toBe(true);
        await sql`TRUNCATE transfers, outbox`;
        expect(await upgrade(async () => {})).toBe(false);
        const addKey = () => sql`
          INSERT INTO api_keys (id, owner, name, secret_hash, scopes)
          VALUES ('key', 'owner', 'key', decode(repeat('00', 32), 'hex'), '{}')`;
        expect(await upgrade(addKey)).toBe(true);
      }),
    SLOW_TEST_MS,
  );
});
