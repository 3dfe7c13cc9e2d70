import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type postgres from 'postgres';
import type { Database } from './database.ts';
import { isConnectionLoss } from './postgres.ts';
import type { Queryable } from './query.ts';

/** One step of the schema: `sql/migrations/0001_name.up.sql` and its way back. */
export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly up: string;
  readonly down: string;
}

export const MIGRATIONS_DIR = join(import.meta.dir, '../../../sql/migrations');
const FILE = /^(\d{4})_([a-z0-9_]+)\.up\.sql$/;
const LOCK = 5703951129318915n;

/** Reads the migrations in order. Throws when a number is missing or a way back is. */
export async function readMigrations(folder = MIGRATIONS_DIR): Promise<Migration[]> {
  const files = (await readdir(folder)).filter((file) => FILE.test(file)).sort();
  return Promise.all(
    files.map(async (file, i) => {
      const [, number, name] = FILE.exec(file)!;
      if (Number(number) !== i + 1) throw new Error(`Migration ${file} should have the number ${i + 1}.`);
      const up = await readFile(join(folder, file), 'utf8');
      return {
        number: i + 1,
        name: name!,
        up,
        down: await readFile(join(folder, file.replace('.up.', '.down.')), 'utf8'),
      };
    }),
  );
}

/** Returns how many migrations are applied. Throws like {@link Queryable.query}. */
export async function appliedMigrations(on: Pick<Database, 'query'>, signal?: AbortSignal): Promise<number> {
  const [table] = await on.query(
    (sql) => sql<[{ exists: boolean }]>`SELECT to_regclass('schema_migrations') IS NOT NULL AS exists`,
    { signal },
  );
  if (!table.exists) return 0;
  const [row] = await on.query(
    (sql) => sql<[{ applied: number }]>`SELECT count(*) AS applied FROM schema_migrations`,
    { signal },
  );
  return row.applied;
}

/** Whether the database has every migration of this release. Throws like {@link appliedMigrations}. */
export async function isMigrated(database: Database, signal?: AbortSignal): Promise<boolean> {
  return (await appliedMigrations(database, signal)) >= (await readMigrations()).length;
}

/**
 * Applies what is missing, each migration in a transaction of its own, one process at a time in the whole cluster.
 * Throws when an applied migration has another text than the file: history is corrected by a new migration.
 */
export async function migrateUp(
  db: Pick<Database, 'reserve'>,
  migrations: readonly Migration[],
): Promise<Migration[]> {
  return locked(db, async (connection) => {
    await connection`
      CREATE TABLE IF NOT EXISTS schema_migrations (
        number int PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now())`;
    const applied = await connection<
      { number: number; checksum: string }[]
    >`SELECT number, checksum FROM schema_migrations ORDER BY number`;
    for (const { number, checksum } of applied) {
      const migration = migrations[number - 1];
      if (migration && checksumOf(migration) !== checksum) {
        throw new Error(
          `Migration ${number} (${migration.name}) was changed after it was applied.\n  why:  the database has another version of it\n  do:   undo the change to the file and write a new migration`,
        );
      }
    }
    const missing = migrations.slice(applied.length);
    for (const migration of missing) {
      await inTransaction(connection, migration.up, async () => {
        await connection`INSERT INTO schema_migrations (number, name, checksum) VALUES (${migration.number}, ${migration.name}, ${checksumOf(migration)})`;
      });
    }
    return missing;
  });
}

/** Takes back the newest migrations, one or as many as asked. Answers those taken back. */
export async function migrateDown(
  db: Pick<Database, 'reserve'>,
  migrations: readonly Migration[],
  steps = 1,
): Promise<Migration[]> {
  return locked(db, async (connection) => {
    const undone = migrations
      .slice(0, await appliedMigrations({ query: async (build) => build(connection) } as Queryable))
      .reverse()
      .slice(0, steps);
    for (const migration of undone) {
      await inTransaction(connection, migration.down, async () => {
        await connection`DELETE FROM schema_migrations WHERE number = ${migration.number}`;
      });
    }
    return undone;
  });
}

function checksumOf({ up }: Migration): string {
  return createHash('sha256').update(up).digest('hex');
}

async function locked<T>(
  db: Pick<Database, 'reserve'>,
  work: (connection: postgres.ReservedSql) => Promise<T>,
): Promise<T> {
  const connection = await db.reserve();
  const giveBack = async () => {
    await connection`SELECT pg_advisory_unlock_all()`.catch(() => {});
    await connection`RESET statement_timeout`.catch(() => {});
    connection.release();
  };
  try {
    // Migrations may rewrite large tables, so the limits of requests do not hold for them.
    await connection`SET statement_timeout = 0`;
    await connection`SELECT pg_advisory_lock(${String(LOCK)}::bigint)`;
    const result = await work(connection);
    await giveBack();
    return result;
  } catch (error) {
    // What is said on a connection that is gone ends the process (porsager/postgres, issue 1208).
    if (!isConnectionLoss(error)) await giveBack();
    throw error;
  }
}

async function inTransaction(
  connection: postgres.ReservedSql,
  script: string,
  record: () => Promise<void>,
): Promise<void> {
  try {
    await connection`BEGIN`;
    await connection.unsafe(script).simple();
    await record();
    await connection`COMMIT`;
  } catch (error) {
    if (!isConnectionLoss(error)) await connection`ROLLBACK`.catch(() => {});
    throw error;
  }
}
