import { expect } from 'bun:test';
import type { TestApp } from '../../support/test-app.ts';

// What Atlas records whoever calls.
const OWN_RECORDS = ['incarnations', 'idempotent_responses'];

/**
 * Returns a digest of each table, but for when keys were used and for what the sealer adds: of everything, or of what
 * belongs to an owner.
 */
export async function digestOf(
  { sql }: TestApp,
  { owner, except = [] }: { owner?: string; except?: readonly string[] } = {},
): Promise<Record<string, string>> {
  const tables = await sql<{ name: string; owner: string | null }[]>`
    SELECT t.table_name AS name, min(c.column_name) AS owner FROM information_schema.tables t
    LEFT JOIN information_schema.columns c ON c.table_schema = t.table_schema AND c.table_name = t.table_name
      AND c.column_name IN ('owner', 'organization')
    WHERE t.table_schema = 'public' AND t.table_type = 'BASE TABLE'
      AND t.table_name <> ALL (${[...OWN_RECORDS, ...except]})
    GROUP BY t.table_name`;
  const read = owner === undefined ? tables : tables.filter((table) => table.owner !== null);
  expect(read.length).toBeGreaterThan(7);
  const digests = await Promise.all(
    read.map(async (table) => {
      const [row] = await sql<[{ digest: string }]>`
        SELECT count(*) || ' ' || coalesce(md5(string_agg(content, '' ORDER BY content)), '') AS digest
        FROM (SELECT (to_jsonb(t) - ${['last_used_at', 'position', 'seal', 'key_id']}::text[])::text AS content
              FROM ${sql(table.name)} t
              ${owner === undefined ? sql`` : sql`WHERE ${sql(table.owner!)} = ${owner}`}) rows`;
      return [table.name, row.digest] as const;
    }),
  );
  return Object.fromEntries(digests);
}
