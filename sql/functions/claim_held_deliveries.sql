-- number: 1
-- migration: 9
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Claims due deliveries like `claim_webhook_deliveries`, for an incarnation: if that dies, they are free before their
-- lease expires (see `free_lost_deliveries`).
CREATE OR REPLACE FUNCTION claim_held_deliveries(
  p_free int, p_places_max int, p_owner_places_max int, p_lease_ms float8, p_incarnation text
)
RETURNS TABLE (
  id uuid, webhook_id uuid, event_id text, body text, attempts int, tries int, url text, secret bytea, old_secret bytea
) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('atlas.incarnation', p_incarnation, true);
  RETURN QUERY SELECT * FROM claim_webhook_deliveries(p_free, p_places_max, p_owner_places_max, p_lease_ms);
END $$;
