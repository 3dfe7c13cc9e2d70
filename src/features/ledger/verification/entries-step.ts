import { foundInAccounts, foundInEntries, foundInHolds } from './discrepancy-queries.ts';
import type { Discrepancy, VerificationPosition, VerifiedEntries } from './domain.ts';
import type { Tag } from './tag.ts';

/** What one step reads. */
export interface EntriesScope {
  /** Null for the accounts of all. */
  readonly owner: string | null;
  /** Whether to take entries as verified that an earlier verification has found right: they are immutable. */
  readonly isIncremental: boolean;
}

/** The result of one step. */
export interface EntriesStep {
  readonly accounts: number;
  readonly entries: number;
  readonly transfers: number;
  /** Where the next step goes on; null after the last account. */
  readonly next: VerificationPosition | null;
  /** The accounts in which nothing was found. */
  readonly verified: readonly VerifiedEntries[];
  readonly discrepancies: readonly (Discrepancy & { readonly accountId: string })[];
}

/** The row of {@link selectEntriesStep}. */
export interface EntriesRow {
  readonly accounts: AccountRow[];
  readonly found: (Discrepancy & { readonly accountId: string })[];
  readonly isLast: boolean;
}

interface AccountRow extends VerifiedEntries {
  readonly createdMicros: string;
  readonly isDone: boolean;
  readonly entries: number;
  readonly transfers: number;
}

const ACCOUNTS_MAX = 2000;
const ENTRIES_MAX = 20_000;
const FOUND_MAX = 100;

/**
 * Selects the next accounts with what is wrong in them, as many as a bounded step holds: whether versions are without
 * gaps, sums and running balances follow from the entries, what is pending is what holds reserve, and every entry has
 * its event. One statement sees one moment. An account with more entries takes several steps.
 */
export const selectEntriesStep = <F>(
  sql: Tag<F>,
  scope: EntriesScope,
  { createdMicros, id, partial }: VerificationPosition,
): F => sql`
  WITH picked AS MATERIALIZED (
    SELECT a.id, a.owner, a.ledger, a.allow_negative, a.balance_min, a.overdrawn_by_force, a.version, a.debits_posted,
           a.credits_posted, a.debits_pending, a.credits_pending, a.created_at, ${startOf(sql, scope, partial)}
      FROM accounts a
      ${scope.isIncremental ? checkpointOf(sql) : sql``}
     WHERE ${scope.owner === null ? sql`true` : sql`a.owner = ${scope.owner}`} AND ${isAfter(sql, createdMicros, id)}
     ORDER BY a.created_at, a.id LIMIT ${ACCOUNTS_MAX}
  ), chosen AS MATERIALIZED (
    SELECT *, least(version, from_version + ${ENTRIES_MAX}) AS upto
      FROM (SELECT *, row_number() OVER w AS nth, sum(version - from_version) OVER w AS entries_so_far
              FROM picked WINDOW w AS (ORDER BY created_at, id)) measured
     WHERE nth = 1 OR entries_so_far <= ${ENTRIES_MAX}
  ), entries AS MATERIALIZED (
    SELECT c.id AS account_id, c.owner, c.ledger AS account_ledger, e.*
      FROM chosen c CROSS JOIN LATERAL (
        SELECT debit_version AS version, debit_balance AS balance, amount AS debit, 0::bigint AS credit,
               id AS transfer_id, ledger, hold_id, reverses_id, debit_account_id AS payer
          FROM transfers
         WHERE debit_account_id = c.id AND debit_version > c.from_version AND debit_version <= c.upto
        UNION ALL
        SELECT credit_version, credit_balance, 0, amount, id, ledger, NULL, NULL, debit_account_id
          FROM transfers
         WHERE credit_account_id = c.id AND credit_version > c.from_version AND credit_version <= c.upto) e
  ), sums AS MATERIALIZED (
    SELECT account_id, count(*) AS entries, count(DISTINCT version) AS versions,
           sum(debit) AS debits, sum(credit) AS credits, sum(debit) FILTER (WHERE hold_id IS NOT NULL) AS held,
           -- A transfer counts where it is paid from, or where no account of the scope pays it.
           count(*) FILTER (WHERE debit > 0 OR (${scope.owner !== null}
             AND (SELECT a.owner FROM accounts a WHERE a.id = payer) IS DISTINCT FROM entries.owner)) AS transfers
      FROM entries GROUP BY account_id
  ), compared AS MATERIALIZED (
    SELECT c.*, coalesce(s.entries, 0) AS entries, coalesce(s.versions, 0) AS versions,
           coalesce(s.transfers, 0) AS transfers, c.from_debits + coalesce(s.debits, 0) AS debits,
           c.from_credits + coalesce(s.credits, 0) AS credits, c.from_held + coalesce(s.held, 0) AS held,
           c.upto = c.version AS is_done
      FROM chosen c LEFT JOIN sums s ON s.account_id = c.id
  ), found ("accountId", kind, at, expected, found) AS (
    ${foundInAccounts(sql)} UNION ALL ${foundInEntries(sql)} UNION ALL ${foundInHolds(sql, scope.isIncremental)}
  ), shown AS (
    SELECT * FROM found LIMIT ${FOUND_MAX}
  ), accounts_done AS (
    SELECT id AS "accountId", upto AS version, debits::text, credits::text, held::text, is_done AS "isDone", entries,
           transfers, (extract(epoch FROM created_at) * 1000000)::bigint::text AS "createdMicros"
      FROM compared ORDER BY nth
  )
  SELECT coalesce((SELECT json_agg(a) FROM accounts_done a), '[]') AS accounts,
         coalesce((SELECT json_agg(s) FROM shown s), '[]') AS found,
         (SELECT count(*) FROM picked) = (SELECT count(*) FROM chosen)
           AND (SELECT count(*) FROM picked) < ${ACCOUNTS_MAX} AS is_last`;

/** With a limit, PostgreSQL probes the index for each account, and never reads the checkpoints of all. */
const checkpointOf = <F>(sql: Tag<F>): F => sql`
  LEFT JOIN LATERAL (SELECT version, debits, credits FROM ledger_checkpoints c
                      WHERE c.account_id = a.id AND c.version <= a.version LIMIT 1) p ON true`;

const isAfter = <F>(sql: Tag<F>, createdMicros: string | null, id: string | null): F =>
  id === null
    ? sql`true`
    : sql`(a.created_at, a.id) > (
        'epoch'::timestamptz + ${createdMicros}::bigint * interval '1 microsecond', ${id}::uuid)`;

/** Selects which entries are verified, and their sums, before this step. */
function startOf<F>(sql: Tag<F>, { isIncremental }: EntriesScope, partial: VerifiedEntries | null): F {
  const [version, debits, credits] = isIncremental
    ? [sql`coalesce(p.version, 0)`, sql`coalesce(p.debits, 0)`, sql`coalesce(p.credits, 0)`]
    : [sql`0::bigint`, sql`0::numeric`, sql`0::numeric`];
  if (partial === null || isIncremental)
    return sql`${version} AS from_version, ${debits} AS from_debits, ${credits} AS from_credits,
        0::numeric AS from_held`;
  const isPartial = sql`a.id = ${partial.accountId}::uuid`;
  return sql`CASE WHEN ${isPartial} THEN ${partial.version}::bigint ELSE 0 END AS from_version,
    CASE WHEN ${isPartial} THEN ${partial.debits}::numeric ELSE 0 END AS from_debits,
    CASE WHEN ${isPartial} THEN ${partial.credits}::numeric ELSE 0 END AS from_credits,
    CASE WHEN ${isPartial} THEN ${partial.held}::numeric ELSE 0 END AS from_held`;
}

/** Returns the result of a step from its row. */
export function toEntriesStep(
  { accounts, found, isLast }: EntriesRow,
  before: Pick<VerificationPosition, 'createdMicros' | 'id'>,
  { isIncremental }: EntriesScope,
): EntriesStep {
  const last = accounts.at(-1);
  const wrong = new Set(found.map(({ accountId }) => accountId));
  const sum = (of: (row: AccountRow) => number) => accounts.reduce((total, row) => total + of(row), 0);
  // Only the first account of a step can have entries left. An incremental verification goes on from what is right, so
  // it leaves an account in which something is wrong.
  const isPartial = last !== undefined && !last.isDone && !(isIncremental && wrong.has(last.accountId));
  const next = isPartial
    ? { ...before, partial: toVerified(last) }
    : { createdMicros: last?.createdMicros ?? null, id: last?.accountId ?? null, partial: null };
  return {
    accounts: isPartial ? 0 : accounts.length,
    entries: sum((row) => row.entries),
    transfers: sum((row) => row.transfers),
    next: last === undefined || (isLast && !isPartial) ? null : next,
    verified: accounts.filter(({ accountId }) => !wrong.has(accountId)).map(toVerified),
    discrepancies: found,
  };
}

function toVerified({ accountId, version, debits, credits, held }: VerifiedEntries): VerifiedEntries {
  return { accountId, version, debits, credits, held };
}
