import type { Database } from '../../../adapters/postgres/database.ts';
import type { Fragment, FragmentTag } from '../../../adapters/postgres/query.ts';
import type { Discrepancy, LedgerSums } from './domain.ts';

/** Reads the whole ledger in one snapshot, or the accounts of one owner with their transfers. */
export interface LedgerRepository {
  /** `owner` is null for the whole ledger. */
  verify(
    owner: string | null,
    discrepanciesMax: number,
    signal?: AbortSignal,
  ): Promise<{ accounts: number; transfers: number; ledgers: LedgerSums[]; discrepancies: Discrepancy[] }>;
}

interface Row {
  accounts: number;
  transfers: number;
  ledgers: LedgerSums[];
  discrepancies: Discrepancy[];
}

// About 1 MiB of JSON, and far more than there are currencies.
const LEDGERS_MAX = 8000;

export function createLedgerRepository(db: Database): LedgerRepository {
  return {
    async verify(owner, discrepanciesMax, signal) {
      const isOwn = (account: Fragment) =>
        owner === null
          ? db.fragment`true`
          : db.fragment`${account} IN (SELECT id FROM accounts WHERE owner = ${owner})`;
      // A transfer posted in the meantime is visible everywhere or nowhere.
      const [row] = await db.snapshot(
        (tx) =>
          tx.query(
            (sql) => sql<[Row]>`
          WITH sides AS (
            SELECT debit_account_id AS account_id, amount AS debit, 0 AS credit, debit_version AS version FROM transfers
             WHERE ${isOwn(sql`debit_account_id`)}
            UNION ALL
            SELECT credit_account_id, 0, amount, credit_version FROM transfers WHERE ${isOwn(sql`credit_account_id`)}
          ), own_accounts AS (
            SELECT * FROM accounts WHERE ${isOwn(sql`id`)}
          ), own_transfers AS (
            SELECT * FROM transfers WHERE ${isOwn(sql`debit_account_id`)} OR ${isOwn(sql`credit_account_id`)}
          ), recomputed AS (
            SELECT account_id, sum(debit) AS debits, sum(credit) AS credits, count(*) AS entries,
                   count(DISTINCT version) AS versions, min(version) AS first, max(version) AS last
              FROM sides GROUP BY account_id
          ), compared AS (
            SELECT a.id, a.allow_negative, a.balance_min, a.overdrawn_by_force, a.debits_pending, a.version,
                   a.debits_posted, a.credits_posted, r.account_id,
                   coalesce(r.debits, 0) AS debits, coalesce(r.credits, 0) AS credits,
                   coalesce(r.entries, 0) AS entries, coalesce(r.versions, 0) AS versions,
                   coalesce(r.first, 1) AS first, coalesce(r.last, 0) AS last
              FROM own_accounts a FULL JOIN recomputed r ON r.account_id = a.id
          ), ledgers AS (
            SELECT ledger, count(*) AS accounts, sum(debits_posted) AS debits, sum(credits_posted) AS credits
              FROM own_accounts GROUP BY ledger
          ), found (kind, at, expected, found) AS (
            SELECT 'ledger_unbalanced', ledger, 'debits = credits', format('%s and %s', debits, credits)
              -- What one owner has need not be balanced: it can pay others.
              FROM ledgers WHERE debits <> credits AND ${owner === null}
            UNION ALL
            SELECT 'account_missing', account_id::text, 'an account', format('%s transfers of no account', entries)
              FROM compared WHERE id IS NULL
            UNION ALL
            SELECT 'sums_differ', id::text, format('debits %s, credits %s', debits, credits),
                   format('debits %s, credits %s', debits_posted, credits_posted)
              FROM compared WHERE debits <> debits_posted OR credits <> credits_posted
            UNION ALL
            SELECT 'version_gap', id::text, format('versions 1 to %s', entries),
                   format('%s from %s to %s, account at %s', versions, first, last, version)
              FROM compared
              WHERE id IS NOT NULL AND (version <> entries OR versions <> entries OR first <> 1 OR last <> entries)
            UNION ALL
            SELECT 'balance_negative', id::text, format('at least %s available', coalesce(balance_min, 0)),
                   (credits_posted - debits_posted - debits_pending)::text
              FROM compared WHERE NOT (allow_negative AND balance_min IS NULL) AND NOT overdrawn_by_force
               AND credits_posted - debits_posted - debits_pending < coalesce(balance_min, 0)
            UNION ALL
            -- Up to a sequence of each key, events were deleted after their retention.
            SELECT 'outbox_missing', t.id::text, 'an outbox row, or an event for each account', 'neither'
              FROM own_transfers t WHERE NOT EXISTS (SELECT FROM outbox o WHERE o.transfer_id = t.id)
                AND EXISTS (SELECT FROM (VALUES (t.debit_account_id::text, t.debit_version),
                              (t.credit_account_id::text, t.credit_version)) s(key, sequence)
                  WHERE s.sequence > coalesce((SELECT f.sequence FROM forgotten_keys f WHERE f.key = s.key), -1)
                    AND NOT EXISTS (SELECT FROM events e
                      WHERE e.key = s.key AND e.sequence = s.sequence AND e.transfer_id = t.id)
                    AND NOT EXISTS (SELECT FROM parked_events e
                      WHERE e.key = s.key AND e.sequence = s.sequence AND e.transfer_id = t.id))
            UNION ALL ${foundInMovements(sql, isOwn)}
          )
          SELECT (SELECT count(*) FROM own_accounts) AS accounts, (SELECT count(*) FROM own_transfers) AS transfers,
                 coalesce((SELECT json_agg(json_build_object('ledger', ledger, 'accounts', accounts,
                   'debitsPosted', debits::text, 'creditsPosted', credits::text) ORDER BY ledger)
                   FROM (SELECT * FROM ledgers ORDER BY ledger LIMIT ${LEDGERS_MAX}) first), '[]') AS ledgers,
                 coalesce((SELECT json_agg(f)
                   FROM (SELECT * FROM found LIMIT ${discrepanciesMax}) f), '[]') AS discrepancies`,
          ),
        { signal },
      );
      return row;
    },
  };
}

/** Selects what does not agree about running balances, holds, and reversals. Releases before stored no balances. */
function foundInMovements(sql: FragmentTag, isOwn: (account: Fragment) => Fragment): Fragment {
  return sql`
    -- Of each account the first: the others follow from it.
    SELECT 'balance_differs', at::text, format('%s after transfer %s', expected, version), balance::text FROM (
      SELECT DISTINCT ON (at) * FROM (
      SELECT account_id AS at, version, balance,
             sum(change) OVER (PARTITION BY account_id ORDER BY version) AS expected
        FROM (SELECT debit_account_id AS account_id, debit_version AS version, debit_balance AS balance,
                     -amount AS change FROM transfers WHERE ${isOwn(sql`debit_account_id`)}
              UNION ALL
              SELECT credit_account_id, credit_version, credit_balance, amount FROM transfers
               WHERE ${isOwn(sql`credit_account_id`)}) entries) running
       WHERE balance <> expected ORDER BY at, version) first
    UNION ALL
    SELECT 'pending_differs', a.id::text,
           format('debits %s, credits %s', coalesce(h.debits, 0), coalesce(h.credits, 0)),
           format('debits %s, credits %s', a.debits_pending, a.credits_pending)
      FROM own_accounts a LEFT JOIN (
        SELECT account_id, sum(debit) AS debits, sum(credit) AS credits FROM (
          SELECT debit_account_id AS account_id, amount - posted AS debit, 0 AS credit FROM holds
           WHERE state = 'pending'
          UNION ALL SELECT credit_account_id, 0, amount - posted FROM holds
           WHERE state = 'pending' AND reserves_credit) sides
         GROUP BY account_id) h ON h.account_id = a.id
     WHERE (a.debits_pending, a.credits_pending) <> (coalesce(h.debits, 0), coalesce(h.credits, 0))
    UNION ALL
    SELECT 'hold_differs', h.id::text, format('%s posted', coalesce(t.posted, 0)), format('%s posted', h.posted)
      FROM holds h LEFT JOIN (SELECT hold_id, sum(amount) AS posted FROM transfers WHERE hold_id IS NOT NULL
                               GROUP BY hold_id) t ON t.hold_id = h.id
     WHERE h.posted <> coalesce(t.posted, 0) AND ${isOwn(sql`h.debit_account_id`)}
    UNION ALL
    SELECT 'reversed_differs', t.id::text, format('%s reversed', r.amount),
           coalesce(format('%s reversed, of %s', x.reversed, x.amount), 'none')
      FROM own_transfers t
      JOIN (SELECT reverses_id, sum(amount) AS amount FROM transfers WHERE reverses_id IS NOT NULL
             GROUP BY reverses_id) r ON r.reverses_id = t.id
      LEFT JOIN reversed_transfers x ON x.transfer_id = t.id
      LEFT JOIN (SELECT transfer_id, sum(amount) AS amount FROM reversals
                  GROUP BY transfer_id) l ON l.transfer_id = t.id
     WHERE (r.amount, r.amount, t.amount) IS DISTINCT FROM (x.reversed, l.amount, x.amount)`;
}
