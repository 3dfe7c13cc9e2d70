import type { Sql } from '../../../src/adapters/postgres/postgres.ts';

/** Returns what must never be, whatever was posted. */
export async function violationsOf(sql: Sql): Promise<readonly object[]> {
  return sql`
    WITH sides AS (
      SELECT debit_account_id AS id, debit_version AS version, debit_balance AS balance, -amount AS change, created_at FROM transfers
      UNION ALL SELECT credit_account_id, credit_version, credit_balance, amount, created_at FROM transfers
    ), running AS (
      SELECT *, sum(change) OVER w AS expected, lag(created_at) OVER w AS before FROM sides WINDOW w AS (PARTITION BY id ORDER BY version)
    ), live AS (
      SELECT account, sum(debit) AS debits, sum(credit) AS credits FROM (
        SELECT debit_account_id AS account, amount - posted AS debit, 0 AS credit FROM holds WHERE state = 'pending'
        UNION ALL SELECT credit_account_id, 0, amount - posted FROM holds
         WHERE state = 'pending' AND reserves_credit) s GROUP BY account
    )
    SELECT 'running balance' AS what, id::text AS at FROM running WHERE balance <> expected
    UNION ALL SELECT 'time goes back', id::text FROM running WHERE created_at < before
    UNION ALL SELECT 'pending without a hold', a.id::text FROM accounts a LEFT JOIN live l ON l.account = a.id
      WHERE (a.debits_pending, a.credits_pending) <> (coalesce(l.debits, 0), coalesce(l.credits, 0))
    UNION ALL SELECT 'ledger', ledger FROM accounts GROUP BY ledger
      HAVING sum(debits_posted) <> sum(credits_posted) OR sum(debits_pending) < sum(credits_pending)
    UNION ALL SELECT 'force without need', id::text FROM accounts
      WHERE overdrawn_by_force AND credits_posted - debits_posted - debits_pending >= coalesce(balance_min, 0)
    UNION ALL SELECT 'reversed', t.transfer_id::text FROM reversed_transfers t
      WHERE reversed <> (SELECT sum(amount) FROM reversals r WHERE r.transfer_id = t.transfer_id)
    UNION ALL SELECT 'events of a hold', h.id::text FROM holds h WHERE revision <> (
      SELECT count(*) FROM outbox o WHERE o.key = h.id::text AND o.sequence BETWEEN 1 AND h.revision)`;
}
