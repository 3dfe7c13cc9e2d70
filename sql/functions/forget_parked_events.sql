-- number: 1
-- migration: 9
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Deletes the parked events of one key that are older than `p_days`, at most `p_rows_max`, and lets the relay try the key
-- again: what comes next continues the log as if they had been sent. Waits until every consumer has read the events
-- before them. Returns nulls if there is nothing to delete.
CREATE OR REPLACE FUNCTION forget_parked_events(
  p_days int, p_rows_max int, OUT parked_key text, OUT forgotten bigint, OUT first_sequence bigint, OUT last_sequence bigint
) LANGUAGE plpgsql
-- Each step is an index probe. A plan that was made while the tables were small would scan them when they are large.
SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  before CONSTANT timestamptz := now() - make_interval(days => p_days);
BEGIN
  -- As in `forget_events`.
  IF EXISTS (SELECT FROM schema_migrations WHERE number = 9 AND applied_at > now() - interval '1 day') THEN RETURN; END IF;
  -- Not a key that the relay is about to retry: it may be sending these events.
  SELECT k.key INTO parked_key FROM parked_keys k
   WHERE NOT k.retry
     AND (SELECT e.occurred_at FROM parked_events e WHERE e.key = k.key ORDER BY e.sequence, e.no LIMIT 1) < before
     AND NOT EXISTS (SELECT FROM (SELECT DISTINCT consumer FROM consumer_offsets) c
       WHERE coalesce((SELECT i.sequence FROM inbox i WHERE i.consumer = c.consumer AND i.key = k.key), -1)
           < coalesce((SELECT max(e.sequence) FROM events e WHERE e.key = k.key), -1))
   ORDER BY k.parked_at LIMIT 1 FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN RETURN; END IF;

  SELECT min(f.sequence), max(f.sequence) INTO first_sequence, last_sequence
    FROM (SELECT e.sequence, e.occurred_at FROM parked_events e WHERE e.key = parked_key
           ORDER BY e.sequence, e.no LIMIT p_rows_max) f WHERE f.occurred_at < before;
  DELETE FROM parked_events e WHERE e.key = parked_key AND e.sequence <= last_sequence;
  GET DIAGNOSTICS forgotten = ROW_COUNT;
  INSERT INTO forgotten_keys (key, sequence) VALUES (parked_key, last_sequence)
  ON CONFLICT (key) DO UPDATE SET sequence = greatest(forgotten_keys.sequence, excluded.sequence);
  UPDATE inbox i SET sequence = last_sequence
   WHERE i.consumer IN (SELECT consumer FROM consumer_offsets) AND i.key = parked_key AND i.sequence < last_sequence;
  UPDATE parked_keys SET retry = true WHERE key = parked_key;
END $$;
