import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type postgres from 'postgres';
import type { Database } from './database.ts';
import { hasMigrations, refuseForeign } from './own-tables.ts';
import { isConnectionLoss } from './postgres.ts';
import type { Queryable } from './query.ts';
import {
  functionsToInstall,
  type InstalledFunction,
  installedFunctions,
  readSqlFunctions,
  recordFunction,
  type SqlFunction,
} from './sql-functions.ts';

/** One step of the schema: `sql/migrations/0001_name.up.sql` and the `.down.sql` that reverts it. */
export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly up: string;
  readonly down: string;
}

/** The changes made by `migrateUp`. */
export interface Upgrade {
  readonly migrations: readonly Migration[];
  readonly functions: readonly SqlFunction[];
}

export const MIGRATIONS_DIR = join(import.meta.dir, '../../../sql/migrations');
const FILE = /^(\d{4})_([a-z0-9_]+)\.up\.sql$/;
const LOCK = 5703951129318915n;
// Of them, only PostgreSQL 17 and newer has the last.
const LIMITS = ['statement_timeout', 'transaction_timeout'];
/** The migration that creates the table of installed functions. */
const FUNCTIONS_MIGRATION = 6;

/** Reads the migrations in order. Throws when a number or a `.down.sql` is missing. */
export async function readMigrations(folder = MIGRATIONS_DIR): Promise<Migration[]> {
  const files = (await readdir(folder)).filter((file) => FILE.test(file)).sort();
  return Promise.all(
    files.map(async (file, i) => {
      const [, number, name] = FILE.exec(file)!;
      if (Number(number) !== i + 1) throw new Error(`Migration ${file} should have the number ${i + 1}.`);
      const up = await readFile(join(folder, file), 'utf8');
      const down = await readFile(join(folder, file.replace('.up.', '.down.')), 'utf8');
      return { number: i + 1, name: name!, up, down };
    }),
  );
}

/**
 * Returns how many migrations are applied. Throws like `Database.query`, and an Error if the database belongs to
 * something else.
 */
export async function appliedMigrations(on: Pick<Database, 'query'>, signal?: AbortSignal): Promise<number> {
  const exists = await hasMigrations((build) => on.query(build, { signal }));
  if (!exists) return 0;
  const [row] = await on.query(
    (sql) => sql<[{ applied: number }]>`SELECT count(*) AS applied FROM schema_migrations`,
    { signal },
  );
  return row.applied;
}

/** Whether the database has all migrations and functions of this release, or of a newer one. */
export async function isMigrated(on: Pick<Database, 'query'>, signal?: AbortSignal): Promise<boolean> {
  const [applied, installed, migrations, functions] = await Promise.all([
    appliedMigrations(on, signal),
    installedFunctions(on, signal),
    readMigrations(),
    readSqlFunctions(),
  ]);
  if (applied < migrations.length) return false;
  return functions.every(({ name, number }) => (installed.get(name)?.number ?? 0) >= number);
}

/** Throws an Error with a remedy unless {@link isMigrated}. */
export async function requireMigrated(on: Pick<Database, 'query'>): Promise<void> {
  const [applied, migrations] = await Promise.all([appliedMigrations(on), readMigrations()]);
  if (await isMigrated(on)) return;
  const state =
    applied < migrations.length
      ? `${applied} of the ${migrations.length} migrations of this release are applied`
      : 'its SQL functions are of an older release';
  throw new Error(`The database schema is out of date.\n  why:  ${state}\n  do:   npm run migrate`);
}

/**
 * Applies the missing migrations, then installs the new functions, each in its own transaction. One process at a time
 * in the whole cluster. Throws when an applied migration or an installed function differs from its file.
 */
export async function migrateUp(
  db: Pick<Database, 'reserve'>,
  migrations: readonly Migration[],
  functions?: readonly SqlFunction[],
): Promise<Upgrade> {
  const ofRelease = functions ?? (await readSqlFunctions());
  return locked(db, async (connection) => {
    await refuseForeign(queryableOf(connection).query, migrations);
    await connection`
      CREATE TABLE IF NOT EXISTS schema_migrations (
        number int PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now())`;
    const applied = await connection<
      { number: number; checksum: string }[]
    >`SELECT number, checksum FROM schema_migrations ORDER BY number`;
    refuseChanged(migrations, applied);
    const toInstall = functionsToInstall(ofRelease, await installedFunctions(queryableOf(connection)));

    const missing = migrations.slice(applied.length);
    for (const migration of missing) {
      await inTransaction(connection, [
        {
          what: titleOf(migration),
          script: migration.up,
          async record() {
            await connection`INSERT INTO schema_migrations (number, name, checksum) VALUES (${migration.number}, ${migration.name}, ${checksumOf(migration)})`;
          },
        },
      ]);
    }
    const last = Math.max(applied.length, migrations.length);
    const installed =
      last < FUNCTIONS_MIGRATION ? [] : toInstall.filter(({ migration }) => migration <= last);
    // All at once: they call each other, and hosts that serve meanwhile must not find only some of them.
    const steps = installed.map((found) => ({
      what: `The SQL function ${found.name}`,
      script: found.script,
      record: () => recordFunction(connection, found),
    }));
    if (steps.length > 0) await inTransaction(connection, steps);
    return { migrations: missing, functions: installed };
  });
}

/**
 * Reverts the newest migrations, one unless `steps` says otherwise, and returns them. Throws if the database has
 * migrations of a newer release: only that release can revert them.
 */
export async function migrateDown(
  db: Pick<Database, 'reserve'>,
  migrations: readonly Migration[],
  steps = 1,
): Promise<Migration[]> {
  return locked(db, async (connection) => {
    const applied = await appliedMigrations(queryableOf(connection));
    refuseNewer(migrations, applied);
    const reverted = migrations.slice(0, applied).reverse().slice(0, steps);
    for (const migration of reverted) {
      const functions = await installedFunctions(queryableOf(connection));
      const needing = [...functions.values()].filter((found) => found.migration === migration.number);
      const script = forget(needing, migrations) + migration.down;
      await inTransaction(connection, [
        {
          what: `Reverting migration ${migration.number} (${migration.name})`,
          script,
          async record() {
            await connection`DELETE FROM schema_migrations WHERE number = ${migration.number}`;
          },
        },
      ]);
    }
    return reverted;
  });
}

function refuseChanged(
  migrations: readonly Migration[],
  applied: readonly { number: number; checksum: string }[],
): void {
  for (const { number, checksum } of applied) {
    const migration = migrations[number - 1];
    if (migration && checksumOf(migration) !== checksum) {
      throw new Error(
        `${titleOf(migration)} was changed after it was applied.\n  why:  the database has a different version of it\n  do:   undo the change to the file and write a new migration`,
      );
    }
  }
}

function refuseNewer(migrations: readonly Migration[], applied: number): void {
  if (applied > migrations.length) {
    throw new Error(
      `Nothing was reverted.\n  why:  the database has ${applied} migrations, and this release knows ${migrations.length}\n  do:   revert with the release that applied the newest one`,
    );
  }
}

/** Returns the script that drops functions, except those that a migration created: its `.down.sql` drops them. */
function forget(functions: readonly InstalledFunction[], migrations: readonly Migration[]): string {
  return functions
    .map(({ name }) => {
      const isOfMigration = migrations.some(({ up }) => new RegExp(`\\bFUNCTION ${name}\\b`).test(up));
      const drop = isOfMigration ? '' : `DROP FUNCTION IF EXISTS ${name};\n`;
      return `${drop}DELETE FROM sql_functions WHERE name = '${name}';\n`;
    })
    .join('');
}

const titleOf = ({ number, name }: Migration) => `Migration ${number} (${name})`;

function checksumOf({ up }: Migration): string {
  return createHash('sha256').update(up).digest('hex');
}

function queryableOf(connection: postgres.ReservedSql): Queryable {
  return { query: async (build) => build(connection) };
}

async function locked<T>(
  db: Pick<Database, 'reserve'>,
  work: (connection: postgres.ReservedSql) => Promise<T>,
): Promise<T> {
  const connection = await db.reserve();
  const giveBack = async () => {
    await connection`SELECT pg_advisory_unlock_all()`.catch(() => {});
    await connection`
      SELECT set_config(name, reset_val, false) FROM pg_settings WHERE name = ANY (${LIMITS})`.catch(
      () => {},
    );
    await connection`RESET client_connection_check_interval`.catch(() => {});
    connection.release();
  };
  try {
    // Migrations may rewrite large tables, so the limits of requests do not apply to them.
    await connection`SELECT set_config(name, '0', false) FROM pg_settings WHERE name = ANY (${LIMITS})`;
    // If this process is killed, its statement ends and the lock is free. Not every system can check connections.
    await connection`SET client_connection_check_interval = 1000`.catch(() => {});
    await connection`SELECT pg_advisory_lock(${String(LOCK)}::bigint)`;
    const result = await work(connection);
    await giveBack();
    return result;
  } catch (error) {
    // A query on a lost connection ends the process (porsager/postgres, issue 1208).
    if (!isConnectionLoss(error)) await giveBack();
    throw error;
  }
}

/** A script of a transaction, and what records that it has run. `what` names it in the error. */
interface Step {
  readonly what: string;
  readonly script: string;
  record(): Promise<void>;
}

/** Runs the steps in one transaction. Throws which of them failed, unless the connection is lost. */
async function inTransaction(connection: postgres.ReservedSql, steps: readonly Step[]): Promise<void> {
  let current = '';
  try {
    await connection`BEGIN`;
    for (const { what, script, record } of steps) {
      current = what;
      await connection.unsafe(script).simple();
      await record();
    }
    await connection`COMMIT`;
  } catch (error) {
    if (isConnectionLoss(error)) throw error;
    await connection`ROLLBACK`.catch(() => {});
    throw new Error(
      `${current} failed and was rolled back.\n  why:  ${(error as Error).message}\n  do:   fix its SQL, then run the command again`,
      { cause: error },
    );
  }
}
