-- number: 1
-- migration: 7
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Locks the last event that a consumer has seen of each key, in the order of the keys, until the transaction ends, so
-- that nobody else handles their events meanwhile. -1 if it has seen none. `p_keys` must be sorted like COLLATE "C".
CREATE OR REPLACE FUNCTION lock_inbox(p_consumer text, p_keys text[])
RETURNS TABLE (key text, sequence bigint) LANGUAGE plpgsql
-- Each step is an index probe. A plan that was made while the table was small would scan it when it is large.
SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO inbox (consumer, key, sequence)
  SELECT p_consumer, k.key, -1 FROM unnest(p_keys) WITH ORDINALITY k(key, no) ORDER BY k.no
  ON CONFLICT DO NOTHING;
  RETURN QUERY
  SELECT i.key, i.sequence FROM unnest(p_keys) k(key) JOIN inbox i ON i.consumer = p_consumer AND i.key = k.key
   ORDER BY i.key COLLATE "C" FOR UPDATE OF i;
END $$;
