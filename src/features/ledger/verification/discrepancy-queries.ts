import type { Tag } from './tag.ts';

// Parts of the statement of `verifyEntries`, over its `chosen`, `compared`, and `entries`.

/** Selects accounts whose sums, versions, or balances are wrong. */
export function foundInAccounts<F>(sql: Tag<F>): F {
  return sql`
    SELECT id, 'sums_differ', id::text, format('debits %s, credits %s', debits, credits),
           format('debits %s, credits %s', debits_posted, credits_posted)
      FROM compared WHERE is_done AND (debits <> debits_posted OR credits <> credits_posted)
    UNION ALL
    SELECT id, 'version_gap', id::text, format('versions %s to %s', from_version + 1, upto),
           format('%s entries with %s versions, account at %s', entries, versions, version)
      FROM compared WHERE entries <> upto - from_version OR versions <> entries
    UNION ALL
    SELECT id, 'version_gap', id::text, format('no version after %s', version), 'an entry after it'
      FROM compared c WHERE is_done
       AND (EXISTS (SELECT FROM transfers WHERE debit_account_id = c.id AND debit_version > c.version)
         OR EXISTS (SELECT FROM transfers WHERE credit_account_id = c.id AND credit_version > c.version))
    UNION ALL
    SELECT id, 'balance_negative', id::text, format('at least %s available', coalesce(balance_min, 0)),
           (credits_posted - debits_posted - debits_pending)::text
      FROM compared WHERE NOT (allow_negative AND balance_min IS NULL) AND NOT overdrawn_by_force
       AND credits_posted - debits_posted - debits_pending < coalesce(balance_min, 0)`;
}

/**
 * Selects entries that are wrong. Releases before stored no running balances. A subquery with a limit probes an index
 * for each row, whatever the planner thinks.
 */
export function foundInEntries<F>(sql: Tag<F>): F {
  return sql`
    -- Of each account the first: the others follow from it.
    (SELECT DISTINCT ON (e.account_id) e.account_id, 'balance_differs', e.account_id::text,
            format('%s after transfer %s', e.expected, e.version), e.balance::text
       FROM (SELECT n.account_id, n.version, n.balance, c.from_credits - c.from_debits
                    + sum(n.credit - n.debit) OVER (PARTITION BY n.account_id ORDER BY n.version) AS expected
               FROM entries n JOIN chosen c ON c.id = n.account_id) e
      WHERE e.balance <> e.expected ORDER BY e.account_id, e.version)
    UNION ALL
    SELECT account_id, 'ledger_differs', transfer_id::text, account_ledger, ledger FROM entries
        WHERE ledger <> account_ledger
    UNION ALL
    -- Up to a sequence of each key, events were deleted after their retention.
    SELECT account_id, 'outbox_missing', transfer_id::text, 'an outbox row, or an event for each account', 'neither'
      FROM entries
     WHERE (SELECT e.transfer_id = entries.transfer_id FROM events e
             WHERE e.key = entries.account_id::text AND e.sequence = entries.version LIMIT 1) IS NOT true
       AND (SELECT true FROM outbox o WHERE o.transfer_id = entries.transfer_id LIMIT 1) IS NULL
       AND (SELECT true FROM parked_events p WHERE p.key = entries.account_id::text AND p.sequence = entries.version
             AND p.transfer_id = entries.transfer_id LIMIT 1) IS NULL
       AND version > coalesce((SELECT f.sequence FROM forgotten_keys f WHERE f.key = entries.account_id::text
           LIMIT 1), -1)
    UNION ALL
    SELECT account_id, 'reversed_differs', t.id::text, format('at least %s reversed', e.debit),
           coalesce(format('%s reversed, of %s', x.reversed, x.amount), 'none')
      FROM entries e JOIN LATERAL (SELECT id, amount FROM transfers WHERE id = e.reverses_id LIMIT 1) t ON true
      LEFT JOIN LATERAL (SELECT amount, reversed FROM reversed_transfers WHERE transfer_id = t.id LIMIT 1) x ON true
      LEFT JOIN LATERAL (SELECT sum(amount) AS amount, bool_or(reversal_id = e.transfer_id
          AND amount = e.debit) AS has_this
                           FROM reversals WHERE transfer_id = t.id LIMIT 1) l ON true
     WHERE e.reverses_id IS NOT NULL
       AND NOT coalesce(l.has_this AND l.amount = x.reversed AND x.amount = t.amount AND x.reversed <= t.amount,
           false)
    UNION ALL
    SELECT account_id, 'reversed_differs', reverses_id::text, 'a transfer', 'a reversal of no transfer'
      FROM entries WHERE reverses_id IS NOT NULL
       AND (SELECT true FROM transfers t WHERE t.id = entries.reverses_id LIMIT 1) IS NULL
    UNION ALL
    SELECT account_id, 'hold_differs', hold_id::text, 'a hold of this account', 'a transfer that posts none'
      FROM entries WHERE hold_id IS NOT NULL
       AND (SELECT true FROM holds h WHERE h.id = entries.hold_id AND h.debit_account_id = entries.account_id
           LIMIT 1) IS NULL`;
}

/**
 * What is pending, and what holds have posted: of each hold, if this step has read all entries of its account, else of
 * all holds of the account together. An incremental verification does not read the holds of all time again.
 */
export function foundInHolds<F>(sql: Tag<F>, isIncremental: boolean): F {
  return sql`
    SELECT c.id, 'pending_differs', c.id::text, format('debits %s, credits %s', h.debits, h.credits),
           format('debits %s, credits %s', c.debits_pending, c.credits_pending)
      FROM compared c CROSS JOIN LATERAL (
        SELECT (SELECT coalesce(sum(amount - posted), 0) FROM holds WHERE debit_account_id = c.id
            AND state = 'pending') AS debits,
               (SELECT coalesce(sum(amount - posted), 0) FROM holds WHERE credit_account_id = c.id
                   AND state = 'pending'
                   AND reserves_credit) AS credits LIMIT 1) h
     WHERE c.is_done AND (c.debits_pending <> h.debits OR c.credits_pending <> h.credits)
    UNION ALL
    SELECT c.id, 'hold_differs', h.id::text, format('%s posted', coalesce(t.posted, 0)), format('%s posted', h.posted)
      FROM compared c CROSS JOIN LATERAL (SELECT id, posted FROM holds WHERE debit_account_id = c.id OFFSET 0) h
      LEFT JOIN (SELECT hold_id, sum(debit) AS posted FROM entries WHERE hold_id IS NOT NULL
          GROUP BY hold_id) t ON t.hold_id = h.id
     WHERE c.is_done AND c.from_version = 0 AND h.posted <> coalesce(t.posted, 0)
    UNION ALL
    SELECT c.id, 'hold_differs', c.id::text, format('%s posted of its holds', c.held), format('%s posted', h.posted)
      FROM compared c CROSS JOIN LATERAL (SELECT coalesce(sum(posted), 0) AS posted FROM holds
          WHERE debit_account_id = c.id) h
     WHERE c.is_done AND c.from_version > 0 AND h.posted <> c.held AND ${!isIncremental}`;
}
