-- number: 1
-- migration: 25
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Takes the terms of accounts and transfers one step further: the next events of the log, then what existed before the
-- terms, then accounts that were given to others. Whatever it did is done or undone as one. `has_more`: there is more to do
-- now. Both are null if another host is at it. `lag_seconds`: the age of the oldest event that was not read.
CREATE OR REPLACE FUNCTION index_next(
  p_events_max int, p_rows_max int, OUT indexed int, OUT has_more boolean,
  OUT lag_seconds float8, OUT last_position bigint
) LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off AS $$
DECLARE
  p search_progress;
  up_to bigint;
  ids uuid[];
  filled record;
BEGIN
  last_position := 0; lag_seconds := 0;
  -- Not the lock of the row, which would be written to disk ten times per second.
  IF NOT pg_try_advisory_xact_lock(5703951129318926) THEN RETURN; END IF;
  SELECT * INTO p FROM search_progress;
  SELECT r.last_position INTO last_position FROM relay r;
  -- Events that were deleted after their retention before they were read here. What they were about has no terms yet.
  IF p.position < (SELECT position FROM log_start) THEN
    p.position := last_position; p.has_transfers := false; p.transfers_after_account := NULL; p.transfers_after_version := NULL;
  END IF;
  up_to := least(p.position + p_events_max, last_position);
  has_more := up_to < last_position;
  IF has_more THEN
    SELECT greatest(0, extract(epoch FROM clock_timestamp() - e.occurred_at)) INTO lag_seconds FROM events e WHERE e.position = up_to + 1;
  END IF;
  indexed := 0;
  IF up_to > p.position THEN
    SELECT array_agg(DISTINCT e.transfer_id) INTO ids FROM events e
     WHERE e.position > p.position AND e.position <= up_to AND e.transfer_id IS NOT NULL;
    IF ids IS NOT NULL THEN
      PERFORM index_transfers('transfer_terms', ids);
      indexed := cardinality(ids);
    END IF;
    p.position := up_to;
  END IF;
  IF NOT p.has_accounts THEN
    SELECT array_agg(id ORDER BY id) INTO ids FROM (
      SELECT id FROM accounts WHERE p.accounts_after IS NULL OR id > p.accounts_after ORDER BY id LIMIT p_rows_max) n;
    INSERT INTO account_terms (term, created_at, id)
      SELECT term, a.created_at, a.id FROM accounts a, account_terms_of(p.seed, a.owner, a.ledger, a.kind, a.name, a.metadata) term
       WHERE a.id = ANY (ids) ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING;
    p.has_accounts := coalesce(cardinality(ids), 0) < p_rows_max;
    p.accounts_after := coalesce(ids[cardinality(ids)], p.accounts_after);
    has_more := true;
  ELSIF NOT p.has_transfers THEN
    SELECT * INTO filled FROM fill_transfer_terms('transfer_terms', p.transfers_after_account, p.transfers_after_version, p_rows_max);
    p.has_transfers := filled.count < p_rows_max;
    p.transfers_after_account := coalesce(filled.last_account, p.transfers_after_account);
    p.transfers_after_version := coalesce(filled.last_version, p.transfers_after_version);
    indexed := indexed + filled.count;
    has_more := true;
  ELSIF index_moved(p.seed, p_rows_max) THEN has_more := true;
  END IF;
  -- An idle host calls this ten times per second, and need not write each time.
  UPDATE search_progress s SET position = p.position, has_transfers = p.has_transfers, has_accounts = p.has_accounts,
      transfers_after_account = p.transfers_after_account, transfers_after_version = p.transfers_after_version,
      accounts_after = p.accounts_after
   WHERE (s.position, s.has_transfers, s.has_accounts, s.transfers_after_account, s.transfers_after_version, s.accounts_after)
     IS DISTINCT FROM
     (p.position, p.has_transfers, p.has_accounts, p.transfers_after_account, p.transfers_after_version, p.accounts_after);
END $$;
