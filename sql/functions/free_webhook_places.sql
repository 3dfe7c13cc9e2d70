-- number: 1
-- migration: 4
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- How many more deliveries of a webhook may run now, across all hosts. A failing webhook gets one slot, so that many
-- targets that time out cannot occupy all of them.
CREATE OR REPLACE FUNCTION free_webhook_places(p_webhook uuid, p_failing_since timestamptz, p_places_max int) RETURNS bigint
LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN p_failing_since IS NULL THEN p_places_max ELSE 1 END - count(*)
    FROM webhook_deliveries WHERE webhook_id = p_webhook AND leased_until > now()
$$;
