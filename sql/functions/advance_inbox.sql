-- number: 1
-- migration: 7
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Records the last event of each key that a consumer has handled. The keys are locked: see `lock_inbox`.
CREATE OR REPLACE FUNCTION advance_inbox(p_consumer text, p_keys text[], p_sequences bigint[]) RETURNS void LANGUAGE plpgsql
-- Each step is an index probe. A plan that was made while the table was small would scan it when it is large.
SET enable_seqscan = off SET jit = off AS $$
BEGIN
  UPDATE inbox i SET sequence = s.sequence FROM unnest(p_keys, p_sequences) s(key, sequence)
   WHERE i.consumer = p_consumer AND i.key = s.key AND i.sequence < s.sequence;
END $$;
