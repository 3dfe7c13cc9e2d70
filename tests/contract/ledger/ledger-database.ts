import type { Database } from '../../../src/adapters/postgres/database.ts';
import { openPostgres, type Sql } from '../../../src/adapters/postgres/postgres.ts';
import { createLedgerRepository } from '../../../src/features/ledger/verification/repository.ts';
import { type Engine, freshDatabase, openTestDatabase } from '../../support/database.ts';

/** For tests that run many transactions, or are the first to start a database. */
export const SLOW_TEST_MS = 60_000;

/** Runs work on a fresh, migrated database, with a pool of the driver and as Atlas opens it. */
export async function withDatabase(
  engine: Engine,
  work: (sql: Sql, url: string, db: Database) => Promise<void>,
): Promise<void> {
  const url = await freshDatabase(engine);
  const sql = openPostgres({ url, connectionsMax: 4, timeoutSeconds: 20 });
  const db = openTestDatabase(url, { connectionsMax: 4 });
  try {
    await work(sql, url, db);
  } finally {
    await Promise.all([sql.end({ timeout: 5 }), db.end({ timeout: 5 })]);
  }
}

/** Inserts accounts and returns their ids. */
export async function insertAccounts(
  sql: Sql,
  accounts: readonly {
    ledger: string;
    allowNegative: boolean;
    owner?: string;
    acceptsFrom?: readonly string[] | null;
    acceptsUpTo?: number;
  }[],
): Promise<string[]> {
  const rows = accounts.map(
    ({ ledger, allowNegative, owner = 'owner', acceptsFrom = null, acceptsUpTo = 10_000_000_000 }) => ({
      id: crypto.randomUUID(),
      owner,
      ledger,
      allow_negative: allowNegative,
      metadata: sql.json({}),
      accepts_from: acceptsFrom && sql.json(acceptsFrom),
      accepts_up_to: acceptsUpTo,
    }),
  );
  await sql`INSERT INTO accounts ${sql(rows)}`;
  return rows.map(({ id }) => id);
}

/** Returns the discrepancies that a verification of the ledger finds. */
export async function discrepanciesOf(db: Database): Promise<readonly object[]> {
  return (await createLedgerRepository(db).verify(null, 100)).discrepancies;
}
