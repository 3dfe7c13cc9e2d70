-- number: 1
-- migration: 4
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Running deliveries by owner, across all hosts.
CREATE OR REPLACE FUNCTION taken_webhook_places() RETURNS TABLE (owner text, places bigint) LANGUAGE sql STABLE AS $$
  SELECT w.owner, count(*) FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id
   WHERE d.leased_until > now() GROUP BY w.owner
$$;
