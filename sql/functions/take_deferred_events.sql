-- number: 1
-- migration: 17
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Locks what an owner has deferred first, unless another process handles it: the first owner after this one, or else the
-- first of all. Returns its positions in the log.
CREATE OR REPLACE FUNCTION take_deferred_events(
  p_consumer text, p_after text, OUT owner text, OUT id bigint, OUT positions bigint[]
) LANGUAGE plpgsql
-- One index probe. A plan that was made while the table was small would scan it when it is large.
SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  SELECT d.owner, d.id, d.positions INTO owner, id, positions FROM deferred_events d
   WHERE d.consumer = p_consumer AND d.owner > p_after ORDER BY d.owner, d.id LIMIT 1 FOR UPDATE SKIP LOCKED;
  IF FOUND THEN RETURN; END IF;
  SELECT d.owner, d.id, d.positions INTO owner, id, positions FROM deferred_events d
   WHERE d.consumer = p_consumer ORDER BY d.owner, d.id LIMIT 1 FOR UPDATE SKIP LOCKED;
END $$;
