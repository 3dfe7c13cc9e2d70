-- number: 3
-- migration: 24
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Releases what up to `p_holds_max` holds reserve that are past their expiry, the oldest first: see `expire_given_holds`.
CREATE OR REPLACE FUNCTION expire_holds(p_holds_max int) RETURNS int LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
BEGIN
  RETURN expire_given_holds(ARRAY(SELECT id FROM holds WHERE state = 'pending' AND expires_at <= clock_timestamp()
                                   ORDER BY expires_at LIMIT p_holds_max));
END $$;
