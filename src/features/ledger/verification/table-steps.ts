import type { Discrepancy, LedgerSums } from './domain.ts';
import type { Tag } from './tag.ts';

/** The row of a step over a table in the order of its key. */
export interface TableStep<K> {
  readonly rows: number;
  /** The last key of this step, or null after the last row. */
  readonly next: K | null;
  readonly found: readonly Discrepancy[];
}

/** The row of {@link selectLedgers}. */
export interface LedgersStep {
  readonly ledgers: readonly LedgerSums[];
  readonly found: readonly Discrepancy[];
}

const ROWS_MAX = 20_000;
const KEYS_MAX = 4000;
const FOUND_MAX = 100;
// About 1 MiB of JSON, and far more than there are currencies.
const LEDGERS_MAX = 8000;

/** Selects the totals of all ledgers at one moment. Those of one owner need not be balanced: it can pay others. */
export const selectLedgers = <F>(sql: Tag<F>, owner: string | null): F => sql`
  WITH ledgers AS MATERIALIZED (
    SELECT ledger, count(*) AS accounts, sum(debits_posted) AS debits, sum(credits_posted) AS credits
      FROM accounts WHERE ${owner === null ? sql`true` : sql`owner = ${owner}`} GROUP BY ledger
  ), shown AS (
    SELECT ledger, accounts, debits::text AS "debitsPosted", credits::text AS "creditsPosted"
      FROM ledgers ORDER BY ledger LIMIT ${LEDGERS_MAX}
  ), found AS (
    SELECT 'ledger_unbalanced' AS kind, ledger AS at, 'debits = credits' AS expected,
           format('%s and %s', debits, credits) AS found
      FROM ledgers WHERE debits <> credits AND ${owner === null} LIMIT ${FOUND_MAX}
  )
  SELECT coalesce((SELECT json_agg(s ORDER BY ledger) FROM shown s), '[]') AS ledgers,
         coalesce((SELECT json_agg(f) FROM found f), '[]') AS found`;

/** Selects accounts that do not exist, of the next transfers. */
export const selectTransfersStep = <F>(sql: Tag<F>, after: string | null): F => sql`
  WITH step AS MATERIALIZED (
    SELECT id, debit_account_id, credit_account_id FROM transfers
     WHERE ${after === null ? sql`true` : sql`id > ${after}::uuid`} ORDER BY id LIMIT ${ROWS_MAX}
  ), found AS (
    SELECT 'account_missing' AS kind, missing::text AS at, 'an account' AS expected,
           format('%s transfers of no account', count(*)) AS found
      FROM step CROSS JOIN LATERAL (VALUES (debit_account_id), (credit_account_id)) s(missing)
     WHERE NOT EXISTS (SELECT FROM accounts a WHERE a.id = missing) GROUP BY missing LIMIT ${FOUND_MAX}
  )
  SELECT (SELECT count(*) FROM step) AS rows,
         (SELECT max(id::text) FROM step HAVING count(*) = ${ROWS_MAX}) AS next,
         coalesce((SELECT json_agg(f) FROM found f), '[]') AS found`;

/** Selects those of the next reversals that are no transfer that reverses what they say. */
export const selectReversalsStep = <F>(sql: Tag<F>, after: string | null): F => sql`
  WITH step AS MATERIALIZED (
    SELECT reversal_id, transfer_id, amount FROM reversals
     WHERE ${after === null ? sql`true` : sql`reversal_id > ${after}::uuid`} ORDER BY reversal_id LIMIT ${ROWS_MAX}
  ), found AS (
    SELECT 'reversed_differs' AS kind, transfer_id::text AS at,
           format('transfer %s of %s', reversal_id, amount) AS expected, 'none that reverses it' AS found
      FROM step s
     WHERE (SELECT t.reverses_id = s.transfer_id AND t.amount = s.amount
              FROM transfers t WHERE t.id = s.reversal_id LIMIT 1) IS NOT true LIMIT ${FOUND_MAX}
  )
  SELECT (SELECT count(*) FROM step) AS rows,
         (SELECT max(reversal_id::text) FROM step HAVING count(*) = ${ROWS_MAX}) AS next,
         coalesce((SELECT json_agg(f) FROM found f), '[]') AS found`;

/** Selects those of the next exchanges that differ from their transfers. A constraint keeps amounts at the rate. */
export const selectExchangesStep = <F>(sql: Tag<F>, after: string | null): F => sql`
  WITH step AS MATERIALIZED (
    SELECT * FROM exchanges x
     WHERE ${after === null ? sql`true` : sql`x.id > ${after}::uuid`} ORDER BY x.id LIMIT ${ROWS_MAX}
  ), found AS (
    SELECT 'exchange_differs' AS kind, x.id::text AS at,
           format('%s %s for %s %s', x.source_amount, x.source_ledger, x.target_amount, x.target_ledger) AS expected,
           format('%s %s for %s %s', s.amount, s.ledger, t.amount, t.ledger) AS found
      FROM step x
      LEFT JOIN transfers s ON s.id = x.source_transfer_id
      LEFT JOIN transfers t ON t.id = x.target_transfer_id
     WHERE (x.source_amount, x.source_ledger, x.debit_account_id, x.source_liquidity_account_id, x.target_amount,
            x.target_ledger, x.target_liquidity_account_id, x.credit_account_id, x.created_at)
       IS DISTINCT FROM (s.amount, s.ledger, s.debit_account_id, s.credit_account_id, t.amount, t.ledger,
            t.debit_account_id, t.credit_account_id, t.created_at)
     LIMIT ${FOUND_MAX}
  )
  SELECT (SELECT count(*) FROM step) AS rows,
         (SELECT max(id::text) FROM step HAVING count(*) = ${ROWS_MAX}) AS next,
         coalesce((SELECT json_agg(f) FROM found f), '[]') AS found`;

/** Where a step over idempotency keys ends. */
export interface KeyPosition {
  readonly owner: string;
  readonly key: string;
}

/** Selects what the next idempotency keys have made and does not exist. Keys are not shown: they are their owner's. */
export const selectKeysStep = <F>(sql: Tag<F>, owner: string | null, after: KeyPosition | null): F => sql`
  WITH step AS MATERIALIZED (
    SELECT k.owner, k.key, k.outcomes, k.transfer_ids FROM idempotency_keys k
     WHERE ${owner === null ? sql`true` : sql`k.owner = ${owner}`}
       AND ${after === null ? sql`true` : sql`(k.owner, k.key) > (${after.owner}, ${after.key})`}
     ORDER BY k.owner, k.key LIMIT ${KEYS_MAX}
  ), found AS (
    SELECT 'key_dangling' AS kind, m.id::text AS at,
           format('what an Idempotency-Key of %s has made', s.owner) AS expected,
           'neither a transfer nor a hold' AS found
      FROM step s CROSS JOIN LATERAL unnest(s.outcomes, s.transfer_ids) m(outcome, id)
     WHERE m.outcome IN ('posted', 'exists')
       AND (SELECT true FROM transfers t WHERE t.id = m.id LIMIT 1) IS NULL
       AND (SELECT true FROM holds h WHERE h.id = m.id LIMIT 1) IS NULL LIMIT ${FOUND_MAX}
  )
  SELECT (SELECT count(*) FROM step) AS rows,
         (SELECT json_build_object('owner', owner, 'key', key) FROM step
           WHERE (SELECT count(*) FROM step) = ${KEYS_MAX} ORDER BY owner DESC, key DESC LIMIT 1) AS next,
         coalesce((SELECT json_agg(f) FROM found f), '[]') AS found`;
