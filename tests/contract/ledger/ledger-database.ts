import { openPostgres, type Sql } from '../../../src/adapters/postgres/postgres.ts';
import { createLedgerRepository } from '../../../src/features/ledger/verification/repository.ts';
import { type Engine, freshDatabase } from '../../support/database.ts';

/** For tests that run many transactions, or are the first to start a database. */
export const SLOW_TEST_MS = 60_000;

/** Runs work on a pool over a fresh, migrated database, and closes the pool. */
export async function withDatabase(
  engine: Engine,
  work: (sql: Sql, url: string) => Promise<void>,
): Promise<void> {
  const url = await freshDatabase(engine);
  const sql = openPostgres({ url, connectionsMax: 4, timeoutSeconds: 20 });
  try {
    await work(sql, url);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

/** Opens accounts and answers their ids. */
export async function insertAccounts(
  sql: Sql,
  accounts: readonly { ledger: string; allowNegative: boolean }[],
): Promise<string[]> {
  const rows = accounts.map(({ ledger, allowNegative }) => ({
    id: crypto.randomUUID(),
    owner: 'owner',
    ledger,
    allow_negative: allowNegative,
    metadata: '{}',
  }));
  await sql`INSERT INTO accounts ${sql(rows)}`;
  return rows.map(({ id }) => id);
}

/** What the ledger finds wrong with itself. */
export async function discrepanciesOf(sql: Sql): Promise<readonly object[]> {
  return (await createLedgerRepository(sql).verify(100)).discrepancies;
}
