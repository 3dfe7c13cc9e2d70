-- number: 1
-- migration: 24
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Releases what those of the given holds reserve that are past their expiry by the clock of this database. Returns how
-- many. Such holds can be neither posted nor voided, whether or not this has run.
CREATE OR REPLACE FUNCTION expire_given_holds(p_holds uuid[]) RETURNS int LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
DECLARE
  due uuid[]; expired_at timestamptz;
BEGIN
  -- The lock would wait for the batches that are under way.
  IF NOT EXISTS (SELECT FROM holds WHERE id = ANY (p_holds) AND state = 'pending') THEN RETURN 0; END IF;
  -- Another host releases them. With several in the queue for the lock of posting, payments would wait for each.
  IF NOT pg_try_advisory_xact_lock(5703951129318917) THEN RETURN 0; END IF;
  -- The lock of posting, so that nothing that locks holds or accounts runs beside it.
  PERFORM pg_advisory_xact_lock(5703951129318914);
  expired_at := clock_timestamp();
  SELECT array_agg(h.id) INTO due
    FROM (SELECT id FROM holds WHERE id = ANY (p_holds) AND state = 'pending' AND expires_at <= expired_at
           ORDER BY id FOR NO KEY UPDATE) h;
  IF due IS NULL THEN RETURN 0; END IF;
  SELECT greatest(expired_at, max(a.posted_at)) INTO expired_at
    FROM (SELECT posted_at FROM accounts WHERE id IN (
            SELECT unnest(ARRAY[debit_account_id, credit_account_id]) FROM holds WHERE id = ANY (due))
           ORDER BY id FOR NO KEY UPDATE) a;

  WITH released AS (
    SELECT s.account_id, sum(s.debit) AS debits, sum(s.credit) AS credits
      FROM holds h CROSS JOIN LATERAL (VALUES (h.debit_account_id, h.amount - h.posted, 0), (h.credit_account_id, 0, h.amount - h.posted))
        s(account_id, debit, credit)
     WHERE h.id = ANY (due) AND (s.debit > 0 OR h.reserves_credit) GROUP BY s.account_id
  )
  UPDATE accounts a
     SET debits_pending = a.debits_pending - r.debits, credits_pending = a.credits_pending - r.credits, posted_at = expired_at,
         overdrawn_by_force = a.overdrawn_by_force AND NOT (a.allow_negative AND a.balance_min IS NULL)
           AND a.credits_posted - a.debits_posted - (a.debits_pending - r.debits) < coalesce(a.balance_min, 0)
    FROM released r WHERE a.id = r.account_id;

  PERFORM give_back_limits(due);
  WITH expired AS (
    UPDATE holds SET state = 'expired', settled_at = expired_at, revision = revision + 1 WHERE id = ANY (due) RETURNING *
  )
  INSERT INTO outbox (owner, type, key, sequence, occurred_at, data)
    SELECT a.owner, 'hold.expired.v1', h.id, h.revision, expired_at,
           jsonb_build_object('holdId', h.id, 'debitAccountId', h.debit_account_id, 'creditAccountId', h.credit_account_id,
             'ledger', h.ledger, 'amount', h.amount, 'posted', h.posted, 'remaining', 0, 'released', h.amount - h.posted)
      FROM expired h JOIN accounts a ON a.id = h.debit_account_id;
  RETURN cardinality(due);
END $$;
