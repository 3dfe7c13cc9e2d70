import type { Database } from '../../../adapters/postgres/database.ts';
import { isolates } from '../../../adapters/postgres/isolation.ts';
import { TREE_ACCOUNTS_MAX } from '../account.ts';

/** The sums of an account and all accounts below it, at one moment. Exact, so as text. */
export interface RollupRow {
  readonly ledger: string;
  /** How many accounts they are of: at most one more than {@link TREE_ACCOUNTS_MAX}. */
  readonly accounts: number;
  readonly debitsPosted: string;
  readonly creditsPosted: string;
  readonly debitsPending: string;
  readonly creditsPending: string;
  readonly readAt: Date;
}

/** Trees of accounts in PostgreSQL. */
export interface TreeRepository {
  /** Returns null if the owner finds no such account. Throws like `Database.snapshot`. */
  rollup(owner: string, id: string, signal?: AbortSignal): Promise<RollupRow | null>;
}

const STATEMENT_TIMEOUT_MS = 2000;

export function createTreeRepository(db: Database): TreeRepository {
  const rowsMax = TREE_ACCOUNTS_MAX + 1;
  return {
    async rollup(owner, id, signal) {
      // One statement is one snapshot, so a transfer within the tree is in both of its accounts or in none. The LIMIT
      // inside makes each step probe the index by parent, and the one outside ends the recursion.
      const [row] = await db.snapshot(
        (tx) =>
          tx.query(
            (sql) => sql<(Omit<RollupRow, 'ledger'> & { ledger: string | null })[]>`
              WITH RECURSIVE tree AS (
                SELECT id, ledger, debits_posted, credits_posted, debits_pending, credits_pending FROM accounts
                WHERE id = ${id} AND (owner = ${owner} OR NOT ${isolates(sql)})
                UNION ALL
                SELECT c.* FROM tree t CROSS JOIN LATERAL (
                  SELECT id, ledger, debits_posted, credits_posted, debits_pending, credits_pending FROM accounts
                  WHERE parent_id = t.id LIMIT ${rowsMax}) c
              )
              SELECT min(ledger) AS ledger, count(*)::int AS accounts, sum(debits_posted)::text AS debits_posted,
                sum(credits_posted)::text AS credits_posted, sum(debits_pending)::text AS debits_pending,
                sum(credits_pending)::text AS credits_pending, clock_timestamp() AS read_at
              FROM (SELECT * FROM tree LIMIT ${rowsMax}) read`,
          ),
        { signal, statementTimeoutMs: STATEMENT_TIMEOUT_MS },
      );
      return row === undefined || row.ledger === null ? null : { ...row, ledger: row.ledger };
    },
  };
}
