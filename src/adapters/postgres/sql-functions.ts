import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type postgres from 'postgres';
import type { Database } from './database.ts';

/** A function of the schema: `sql/functions/NAME.sql`. */
export interface SqlFunction {
  readonly name: string;
  /** Grows with each change. A higher number is never replaced by a lower one. */
  readonly number: number;
  /** The migration that the body needs. */
  readonly migration: number;
  readonly script: string;
}

/** A function installed in a database. */
export interface InstalledFunction {
  readonly name: string;
  readonly number: number;
  readonly migration: number;
  readonly checksum: string;
}

export const FUNCTIONS_DIR = join(import.meta.dir, '../../../sql/functions');
const HEADER = /^-- number: ([1-9]\d*)\n-- migration: ([1-9]\d*)\n/;

/** Reads the functions by name. Throws when the header of one is missing. */
export async function readSqlFunctions(folder = FUNCTIONS_DIR): Promise<SqlFunction[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.sql')).sort();
  return Promise.all(
    files.map(async (file) => {
      const script = await readFile(join(folder, file), 'utf8');
      const header = HEADER.exec(script);
      if (header === null) {
        throw new Error(
          `sql/functions/${file} has no number.\n  why:  it does not begin with "-- number: N" and "-- migration: N"\n  do:   add both lines, as in the other files`,
        );
      }
      return { name: file.slice(0, -4), number: Number(header[1]), migration: Number(header[2]), script };
    }),
  );
}

/** Returns the functions that are installed, by name. Throws like `Database.query`. */
export async function installedFunctions(
  on: Pick<Database, 'query'>,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, InstalledFunction>> {
  const [table] = await on.query(
    (sql) => sql<[{ exists: boolean }]>`SELECT to_regclass('sql_functions') IS NOT NULL AS exists`,
    { signal },
  );
  if (!table.exists) return new Map();
  const rows = await on.query(
    (sql) => sql<InstalledFunction[]>`SELECT name, number, migration, checksum FROM sql_functions`,
    { signal },
  );
  return new Map(rows.map((row) => [row.name, row]));
}

/** Returns the functions that must be installed. Throws when a body was changed without a new number. */
export function functionsToInstall(
  functions: readonly SqlFunction[],
  installed: ReadonlyMap<string, InstalledFunction>,
): SqlFunction[] {
  return functions.filter((wanted) => {
    const found = installed.get(wanted.name);
    if (found === undefined || found.number < wanted.number) return true;
    if (found.number === wanted.number && found.checksum !== checksumOf(wanted)) {
      throw new Error(
        `The SQL function ${wanted.name} was changed after it was installed.\n  why:  the database has a different body under the number ${wanted.number}\n  do:   undo the change, or raise the number in sql/functions/${wanted.name}.sql`,
      );
    }
    return false;
  });
}

/** Records that a function is installed, in the transaction that installs it. */
export async function recordFunction(
  connection: postgres.ReservedSql,
  installed: SqlFunction,
): Promise<void> {
  const { name, number, migration } = installed;
  await connection`
    INSERT INTO sql_functions (name, number, migration, checksum)
    VALUES (${name}, ${number}, ${migration}, ${checksumOf(installed)})
    ON CONFLICT (name) DO UPDATE SET number = excluded.number, migration = excluded.migration,
      checksum = excluded.checksum, applied_at = now()`;
}

function checksumOf({ script }: SqlFunction): string {
  return createHash('sha256').update(script).digest('hex');
}
