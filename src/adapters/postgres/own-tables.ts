import type { Migration } from './migrations.ts';
import type { Queryable } from './query.ts';

interface Found {
  readonly exists: boolean;
  /** Whether it has the columns of Atlas. Other tools have a table of this name too. */
  readonly isOwn: boolean;
}

const CREATED_TABLE = /^CREATE TABLE (?:IF NOT EXISTS )?(\w+)/gm;
// What to do is the same for every table that Atlas did not create.
const REMEDY =
  'create a database for Atlas alone and set DATABASE_URL to it, or add ?search_path=SCHEMA to DATABASE_URL for a schema of its own';

/** Returns whether the table of applied migrations exists. Throws an Error if it belongs to something else. */
export async function hasMigrations(query: Queryable['query']): Promise<boolean> {
  const [{ exists, isOwn }] = await query(
    (sql) => sql<[Found]>`
      SELECT oid IS NOT NULL AS exists,
             (SELECT count(*) = 3 FROM pg_attribute
              WHERE attrelid = oid AND attname IN ('number', 'name', 'checksum')) AS is_own
      FROM (SELECT to_regclass('schema_migrations')::oid AS oid) AS found`,
  );
  if (exists && !isOwn) throw foreign('its table schema_migrations was not created by Atlas');
  return exists;
}

/**
 * Throws an Error if the tables of Atlas would meet those of something else, or if those of this Atlas are in a schema
 * that the session does not search. Changes nothing.
 */
export async function refuseForeign(
  query: Queryable['query'],
  migrations: readonly Migration[],
): Promise<void> {
  if (await hasMigrations(query)) return refuseHidden(query);
  const names = migrations.flatMap(({ up }) => [...up.matchAll(CREATED_TABLE)].map(([, name]) => name!));
  const taken = await query(
    (sql) => sql<{ name: string }[]>`
      SELECT name FROM unnest(${names}::text[]) AS name WHERE to_regclass(name) IS NOT NULL`,
  );
  if (taken.length > 0) {
    const tables = [...new Set(taken.map(({ name }) => name))].join(', ');
    throw foreign(`it has tables that Atlas did not create: ${tables}`);
  }
  const [elsewhere] = await query(
    (sql) => sql<{ schema: string }[]>`
      SELECT relnamespace::regnamespace::text AS schema FROM pg_class
      WHERE relname = 'schema_migrations' AND relkind = 'r' AND current_setting('search_path') = '"$user", public'
        AND (SELECT count(*) = 3 FROM pg_attribute
             WHERE attrelid = pg_class.oid AND attname IN ('number', 'name', 'checksum'))`,
  );
  if (elsewhere === undefined) return;
  throw new Error(
    `The tables of Atlas are in another schema.\n  why:  the schema ${elsewhere.schema} has them, and a search_path that is set for a database or a role does not apply to Atlas\n  do:   add ?search_path=${elsewhere.schema} to DATABASE_URL, or ?search_path=public for a second Atlas in this database`,
  );
}

/** Tables of the same name in a schema that is searched first, such as that of the user, would be used instead. */
async function refuseHidden(query: Queryable['query']): Promise<void> {
  const hidden = await query(
    (sql) => sql<{ name: string }[]>`
      SELECT relname AS name FROM pg_class
      WHERE relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('schema_migrations'))
        AND relkind IN ('r', 'p') AND NOT pg_table_is_visible(oid)`,
  );
  if (hidden.length > 0)
    throw foreign(
      `another schema that is searched first has tables of the same name: ${hidden.map(({ name }) => name).join(', ')}`,
    );
}

function foreign(why: string): Error {
  return new Error(`The database is used by something else.\n  why:  ${why}\n  do:   ${REMEDY}`);
}
