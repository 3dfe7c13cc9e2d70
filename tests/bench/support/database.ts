import { installPostgres, startNativePostgres } from '../../../infra/native-postgres.ts';
import { type Database, openDatabase } from '../../../src/adapters/postgres/database.ts';
import { migrateUp, readMigrations } from '../../../src/adapters/postgres/migrations.ts';
import { openPostgres, type Sql } from '../../../src/adapters/postgres/postgres.ts';
import { makeToken } from '../../../src/features/identity/token.ts';
import { createLedgerRepository } from '../../../src/features/ledger/verification/repository.ts';
import { ALL_SCOPES } from '../../../src/features.ts';
import { undoAtEnd } from './clean-up.ts';
import { freshFolder } from './folders.ts';
import { HERE, inTree, start, type Tree } from './processes.ts';
import { progress } from './progress.ts';

const TIMEOUT_SECONDS = 120;
const DISCREPANCIES_MAX = 5;
const DEADLOCK = '40P01';
const TRUNCATE_ATTEMPTS_MAX = 10;
const TRUNCATE_PAUSE_MS = 100;

/** A migrated PostgreSQL 15, with an API key of all scopes. */
export interface BenchDatabase {
  readonly url: string;
  /** Of the process whose children serve the connections. */
  readonly pid: number;
  readonly apiKey: string;
  readonly sql: Sql;
  readonly database: Database;
}

/**
 * Starts a new cluster in a new folder, with the schema of a tree: by default this one. Both are removed with the
 * benchmark.
 */
export async function startDatabase(tree: Tree = HERE): Promise<BenchDatabase> {
  progress('starting PostgreSQL 15');
  await installPostgres(progress);
  const server = await startNativePostgres(freshFolder());
  const sql = openPostgres({ url: server.url, connectionsMax: 2, timeoutSeconds: TIMEOUT_SECONDS });
  const database = openDatabase({
    url: server.url,
    connectionsMax: 2,
    timeoutSeconds: TIMEOUT_SECONDS,
    failureThreshold: 5,
    recoveryTimeoutMs: 60_000,
  });
  undoAtEnd(async () => {
    await Promise.all([sql.end({ timeout: 1 }), database.end({ timeout: 1 })]);
    await server.stop();
  });
  await migrate(tree, server.url, sql);
  // The schema of another revision may lack what the service of this one writes.
  const { token, id, secretHash } = makeToken();
  await sql`
    INSERT INTO api_keys (id, owner, name, secret_hash, scopes)
    VALUES (${id}, 'owner', 'bench', ${secretHash}, ${[...ALL_SCOPES]})`;
  return { url: server.url, pid: server.pid, apiKey: token, sql, database };
}

async function migrate(tree: Tree, url: string, sql: Sql): Promise<void> {
  if (tree === HERE) await migrateUp(sql, await readMigrations());
  else
    await start([process.execPath, inTree(tree, 'src/main.ts'), 'migrate', 'up'], {
      env: { DATABASE_URL: url, ENVIRONMENT: 'production' },
    }).output;
}

const LEDGER_TABLES = [
  'accounts',
  'transfers',
  'holds',
  'idempotency_keys',
  'outbox',
  'events',
  'parked_keys',
  'parked_events',
  'inbox',
  'consumer_offsets',
  'transfer_terms',
  'account_terms',
  'effective_entries',
  'effective_sums',
  'balance_checkpoints',
];

/** Restores the same initial state before each measurement: accounts without transfers, vacuumed tables, a checkpoint. */
export async function resetLedger(sql: Sql, accounts: number): Promise<void> {
  // Another revision may lack some of them.
  const tables = await sql<{ name: string }[]>`
    SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename = ANY(${LEDGER_TABLES})`;
  await truncate(sql, tables.map(({ name }) => name).join(', '));
  await sql`
    INSERT INTO accounts (id, owner, ledger, allow_negative, metadata)
    SELECT md5('a' || n)::uuid, 'owner', 'EUR', true, '{}' FROM generate_series(1, ${accounts}) n`;
  await sql`VACUUM (ANALYZE) accounts`;
  await sql`CHECKPOINT`;
}

/** Tries again if it deadlocks with the relay of a running server, which locks the same tables in another order. */
async function truncate(sql: Sql, tables: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await sql.unsafe(`TRUNCATE ${tables}`);
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== DEADLOCK || attempt === TRUNCATE_ATTEMPTS_MAX) throw error;
      await Bun.sleep(TRUNCATE_PAUSE_MS);
    }
  }
}

/** Returns the number of transfers. Throws if the ledger is inconsistent, which it checks with this schema only. */
export async function verifyLedger(database: Database): Promise<number> {
  const [known] = await database.query(
    (sql) => sql<[{ isCurrent: boolean; transfers: number }]>`
      SELECT to_regclass('exchanges') IS NOT NULL AS is_current, (SELECT count(*) FROM transfers) AS transfers`,
  );
  // Of another revision, without the tables that the verification of this one reads.
  if (!known.isCurrent) return known.transfers;
  const { transfers, discrepancies } = await createLedgerRepository(database).verify(null, DISCREPANCIES_MAX);
  if (discrepancies.length > 0)
    throw new Error(`The ledger is inconsistent: ${JSON.stringify(discrepancies)}`);
  return transfers;
}
