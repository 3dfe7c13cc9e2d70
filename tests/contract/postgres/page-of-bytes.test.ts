import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { Database } from '../../../src/adapters/postgres/database.ts';
import { Incarnation } from '../../../src/adapters/postgres/incarnation.ts';
import { openPostgres, type Sql } from '../../../src/adapters/postgres/postgres.ts';
import { createEventRepository } from '../../../src/features/events/log/repository.ts';
import { createRelayRepository } from '../../../src/features/events/relay/repository.ts';
import { createAccountRepository } from '../../../src/features/ledger/accounts/repository.ts';
import { createTransferRepository } from '../../../src/features/ledger/transfers/repository.ts';
import { createDeliveryRepository } from '../../../src/features/webhooks/deliveries/repository.ts';
import { availableEngines, freshDatabase, openTestDatabase } from '../../support/database.ts';
import { metadataOf } from '../../support/page-steps.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';

const BANK = '00000000-0000-7000-8000-00000000000a';
const ALICE = '00000000-0000-7000-8000-00000000000b';
const ITEM_BYTES = 80_000;
const TARGET = { id: BANK, owner: 'owner', eventTypes: ['none.v1'], createdAt: new Date(0) };

/** Counts the rows that PostgreSQL sends, and their bytes. */
function counted(db: Database) {
  const sent = { rows: 0, bytes: 0 };
  const query: Database['query'] = async (build, options) => {
    const rows = await db.query(build, options);
    sent.rows += rows.length;
    sent.bytes += JSON.stringify(rows).length;
    return rows;
  };
  return { sent, db: { query, fragment: db.fragment } as Database };
}

type Reading = (db: Database) => Promise<unknown>;
const MIB = 1_048_576;
const LISTS: readonly (readonly [string, number, Reading])[] = [
  ['a page of accounts', MIB, (db) => createAccountRepository(db).list('owner', null, 200)],
  ['a page of transfers', MIB, (db) => createTransferRepository(db).listByAccount('owner', BANK, null, 200)],
  ['a page of events', MIB, (db) => createEventRepository(db).listAfter('owner', 0, 200)],
  [
    'a block of a stream',
    MIB / 4,
    (db) => createEventRepository(db).listAfter('owner', 0, 200, undefined, MIB / 4),
  ],
  ['a page of events of a key', MIB, (db) => createEventRepository(db).listOfKey('owner', BANK, 0, 200)],
  [
    'a page of events of a type',
    MIB,
    (db) => createEventRepository(db).search('owner', { type: 'account.debited.v1' }, 0, 200, 5000),
  ],
  ['a batch of the relay', 2 * MIB, (db) => createRelayRepository(db, new Incarnation(db)).read(2000, true)],
  [
    'a batch of parked events',
    2 * MIB,
    (db) => createRelayRepository(db, new Incarnation(db)).readParked(ALICE, 2000),
  ],
  [
    'a replay of a webhook',
    MIB,
    (db) => createDeliveryRepository(db, new Incarnation(db)).readToReplay(TARGET, 0, 1000),
  ],
];

describe.each(availableEngines())('on %s', (engine) => {
  let db: Database;
  let sql: Sql;
  beforeAll(async () => {
    const url = await freshDatabase(engine);
    db = openTestDatabase(url);
    sql = openPostgres({ url, connectionsMax: 1, timeoutSeconds: 20 });
    const large = sql.json(metadataOf(ITEM_BYTES));
    await sql`
      INSERT INTO accounts (id, owner, ledger, allow_negative, metadata)
      SELECT CASE n WHEN 1 THEN ${BANK} ELSE gen_random_uuid() END, 'owner', 'EUR', true, ${large} FROM generate_series(1, 60) n`;
    await sql`
      INSERT INTO transfers (id, debit_account_id, debit_version, credit_account_id, credit_version, ledger, amount,
        metadata, created_at)
      SELECT gen_random_uuid(), ${BANK}, n, ${ALICE}, n, 'EUR', 1, ${large}, now() FROM generate_series(1, 60) n`;
    await sql`
      INSERT INTO events (position, owner, type, key, sequence, occurred_at, transfer_id)
      SELECT debit_version, 'owner', 'account.debited.v1', ${BANK}, debit_version, now(), id FROM transfers`;
    await sql`
      INSERT INTO outbox (owner, type, key, sequence, occurred_at, data)
      SELECT 'owner', 'test.v1', ${BANK}, n, now(), ${large} FROM generate_series(1, 60) n`;
    await sql`
      INSERT INTO parked_events (key, sequence, owner, type, occurred_at, data)
      SELECT ${ALICE}, n, 'owner', 'test.v1', now(), ${large} FROM generate_series(1, 60) n`;
  }, START_TIMEOUT_MS);
  afterAll(async () => {
    await Promise.all([sql.end(), db.end()]);
  });

  test.each(LISTS)(
    'of large items, PostgreSQL sends what fits into %s, and one more',
    async (_what, bytesMax, read) => {
      const { sent, db: counting } = counted(db);
      await read(counting);
      expect(sent.bytes).toBeLessThan(bytesMax + 2 * ITEM_BYTES);
      expect(sent.bytes).toBeGreaterThan(bytesMax - 2 * ITEM_BYTES);
    },
  );

  test('what PostgreSQL has compressed counts as it is sent', async () => {
    const compressible = Object.fromEntries(
      Array.from({ length: 50 }, (_, i) => [`m${i}`, 'x'.repeat(1500)]),
    );
    await sql`
      INSERT INTO accounts (id, owner, ledger, allow_negative, metadata, created_at)
      SELECT gen_random_uuid(), 'owner', 'EUR', true, ${sql.json(compressible)}, '2020-01-01' FROM generate_series(1, 60)`;
    const { sent, db: counting } = counted(db);
    await createAccountRepository(counting).list('owner', null, 60);
    expect(sent.bytes).toBeLessThan(MIB + 2 * ITEM_BYTES);
    expect(sent.bytes).toBeGreaterThan(MIB - 2 * ITEM_BYTES);
  });
});
