-- number: 1
-- migration: 17
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Defers events of a consumer: it handles them later, in turns of their owners (see `take_deferred_events`). Returns those
-- that are in the log, and thus were deferred. The others cannot be found later.
CREATE OR REPLACE FUNCTION defer_events(p_consumer text, p_keys text[], p_sequences bigint[])
RETURNS TABLE (key text, sequence bigint) LANGUAGE plpgsql
-- Each step is an index probe. A plan that was made while the table was small would scan it when it is large.
SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH found AS MATERIALIZED (
    SELECT e.owner, e.key, e.sequence, e.position FROM unnest(p_keys, p_sequences) n(key, sequence)
     CROSS JOIN LATERAL (SELECT * FROM events WHERE key = n.key AND sequence = n.sequence LIMIT 1) e
  ), deferred AS (
    INSERT INTO deferred_events (consumer, owner, positions)
    SELECT p_consumer, owner, array_agg(position ORDER BY position) FROM found GROUP BY owner
  )
  SELECT key, sequence FROM found;
END $$;
