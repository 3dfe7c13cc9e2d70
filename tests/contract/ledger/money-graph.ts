import type { Sql } from '../../../src/adapters/postgres/postgres.ts';

/** A transfer to insert: who pays whom how much. */
export type Payment = readonly [debit: string, credit: string, amount: number];

const START_MS = Date.parse('2026-01-01T00:00:00Z');

/** Returns the time of the n-th transfer that {@link insertTransfers} has inserted: a second after the one before. */
export const timeOf = (n: number) => new Date(START_MS + n * 1000).toISOString();

/** Inserts transfers as posting would have, in order, a second apart, and the sums of their accounts. */
export async function insertTransfers(sql: Sql, payments: readonly Payment[]): Promise<void> {
  const rows = await sql<{ id: string; version: number }[]>`SELECT id, version FROM accounts`;
  const versions = new Map(rows.map(({ id, version }) => [id, version]));
  const next = (id: string) => {
    const version = versions.get(id)! + 1;
    versions.set(id, version);
    return version;
  };
  const columns = payments.map(
    ([debit, credit, amount]) => [debit, next(debit), credit, next(credit), amount] as const,
  );
  const list = (at: 0 | 1 | 2 | 3 | 4) => `{${columns.map((row) => row[at]).join(',')}}`;
  await sql`
    INSERT INTO transfers (id, debit_account_id, debit_version, credit_account_id, credit_version, ledger, amount,
      metadata, created_at)
    SELECT gen_random_uuid(), t.debit, t.debit_version, t.credit, t.credit_version, 'EUR', t.amount, '{}',
      ${new Date(START_MS).toISOString()}::text::timestamptz + (t.nth - 1) * interval '1 second'
    FROM unnest(${list(0)}::text::uuid[], ${list(1)}::text::bigint[], ${list(2)}::text::uuid[], ${list(3)}::text::bigint[],
      ${list(4)}::text::bigint[]) WITH ORDINALITY AS t(debit, debit_version, credit, credit_version, amount, nth)`;
  await sql`
    UPDATE accounts a SET version = v.version FROM unnest(${`{${[...versions.keys()]}}`}::text::uuid[],
      ${`{${[...versions.values()]}}`}::text::bigint[]) v(id, version) WHERE a.id = v.id`;
  await sql`ANALYZE transfers`;
}

/** Returns the accounts of every path that visits none twice, by trying all; if both ends are one, of every cycle. */
export function simplePaths(
  payments: readonly Payment[],
  from: string,
  to: string,
  depthMax: number,
): string[][] {
  const edges = new Map<string, Set<string>>();
  for (const [debit, credit] of payments) edges.set(debit, (edges.get(debit) ?? new Set()).add(credit));
  const found: string[][] = [];
  const walk = (path: string[]) => {
    for (const next of edges.get(path.at(-1)!) ?? []) {
      if (next === to) found.push([...path, next]);
      else if (!path.includes(next) && path.length < depthMax) walk([...path, next]);
    }
  };
  walk([from]);
  return found.sort((a, b) => a.length - b.length || (a.join() < b.join() ? -1 : 1));
}
