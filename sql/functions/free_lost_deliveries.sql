-- number: 2
-- migration: 9
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Ends the leases of deliveries whose incarnation has exited, or with `p_silent_too` was not renewed in time, so that they
-- are due again now. An incarnation that was wrongly believed dead may still record its attempt, until another one has
-- claimed the delivery. Returns how many were freed.
CREATE OR REPLACE FUNCTION free_lost_deliveries(p_silent_too boolean) RETURNS bigint LANGUAGE plpgsql
-- Reads the few rows of the index of those in flight, and probes the incarnation of each.
SET enable_seqscan = off SET jit = off AS $$
DECLARE
  freed bigint;
BEGIN
  WITH lost AS MATERIALIZED (
    SELECT d.id, d.incarnation FROM webhook_deliveries d
     WHERE d.leased_until IS NOT NULL AND d.leased_until > now() AND d.incarnation IS NOT NULL
       AND NOT EXISTS (SELECT FROM incarnations i
         WHERE i.id = d.incarnation AND (i.expires_at > clock_timestamp() OR NOT p_silent_too))
  )
  UPDATE webhook_deliveries d SET leased_until = now(), next_attempt_at = now()
    -- If another process claims one while this waits for it, the snapshot may lack its incarnation.
    FROM lost WHERE d.id = lost.id AND d.incarnation = lost.incarnation AND d.leased_until > now();
  GET DIAGNOSTICS freed = ROW_COUNT;
  RETURN freed;
END $$;
