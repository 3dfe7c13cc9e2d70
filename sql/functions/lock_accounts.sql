-- number: 1
-- migration: 21
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Locks accounts, which come once each, ordered by id, and returns what `post_movements` decides by, in their order. One
-- that does not exist has no ledger.
CREATE OR REPLACE FUNCTION lock_accounts(
  p_account uuid[],
  OUT owners text[], OUT accepts jsonb[], OUT up_tos bigint[], OUT ledgers text[], OUT debits bigint[], OUT credits bigint[], OUT versions bigint[],
  -- With what is pending: the least balance that a debit may leave, and the most that a credit may.
  OUT floors bigint[], OUT ceilings bigint[],
  -- With what is pending: the most that the sums of debits and credits may be.
  OUT debits_max bigint[], OUT credits_max bigint[],
  -- Why an account cannot be debited or credited. Null if none of them is frozen or closed.
  OUT no_debit text[], OUT no_credit text[], OUT has_stops boolean,
  OUT last_at timestamptz
) LANGUAGE plpgsql
-- For hundreds of items the planner prefers scanning whole tables, which grow with each batch, to probing indexes.
SET enable_seqscan = off SET jit = off AS $$
DECLARE
  sum_max CONSTANT bigint := 9007199254740991;
  unlimited CONSTANT bigint := 1::bigint << 61;
  ids uuid[];
BEGIN
  SELECT array_agg(l.id), array_agg(l.owner), array_agg(l.accepts_from), array_agg(l.accepts_up_to), array_agg(l.ledger), array_agg(l.debits_posted),
         array_agg(l.credits_posted), array_agg(l.version),
         array_agg(coalesce(l.balance_min, CASE WHEN l.allow_negative THEN -unlimited ELSE 0 END) + l.debits_pending),
         array_agg(coalesce(l.balance_max, unlimited) - l.credits_pending),
         array_agg(sum_max - l.debits_pending), array_agg(sum_max - l.credits_pending),
         coalesce(bool_or(l.closed_at IS NOT NULL OR l.debits_frozen OR l.credits_frozen), false), max(l.posted_at)
    INTO ids, owners, accepts, up_tos, ledgers, debits, credits, versions, floors, ceilings, debits_max, credits_max,
         has_stops, last_at
    FROM (SELECT * FROM accounts WHERE id = ANY (p_account) ORDER BY id FOR NO KEY UPDATE) l;
  IF ids IS DISTINCT FROM p_account THEN
    -- An account does not exist: it gets an entry without a ledger, so that the numbers match again.
    SELECT array_agg(l.owner ORDER BY u.no), array_agg(l.accepts ORDER BY u.no), array_agg(l.up_to ORDER BY u.no), array_agg(l.ledger ORDER BY u.no),
           array_agg(l.debits ORDER BY u.no), array_agg(l.credits ORDER BY u.no), array_agg(l.version ORDER BY u.no),
           array_agg(l.floor ORDER BY u.no), array_agg(l.ceiling ORDER BY u.no), array_agg(l.debits_max ORDER BY u.no),
           array_agg(l.credits_max ORDER BY u.no)
      INTO owners, accepts, up_tos, ledgers, debits, credits, versions, floors, ceilings, debits_max, credits_max
      FROM unnest(p_account) WITH ORDINALITY u(id, no)
      LEFT JOIN unnest(ids, owners, accepts, up_tos, ledgers, debits, credits, versions, floors, ceilings, debits_max, credits_max)
        l(id, owner, accepts, up_to, ledger, debits, credits, version, floor, ceiling, debits_max, credits_max)
        ON l.id = u.id;
  END IF;
  -- Nearly never.
  IF has_stops THEN
    SELECT array_agg(CASE WHEN l.closed_at IS NOT NULL THEN 'account_closed' WHEN l.debits_frozen THEN 'account_frozen' END ORDER BY u.no),
           array_agg(CASE WHEN l.closed_at IS NOT NULL THEN 'account_closed' WHEN l.credits_frozen THEN 'account_frozen' END ORDER BY u.no)
      INTO no_debit, no_credit
      FROM unnest(p_account) WITH ORDINALITY u(id, no) LEFT JOIN accounts l ON l.id = u.id;
  END IF;
END $$;
