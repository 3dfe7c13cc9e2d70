-- number: 1
-- migration: 12
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Claims due deliveries like `claim_held_deliveries`, also those of webhooks whose secret is sealed. Returns each valid
-- secret either plain or as a record. The webhooks are read after they were locked, so a rotation in between is seen
-- entirely or not at all.
CREATE OR REPLACE FUNCTION claim_sealed_deliveries(
  p_free int, p_places_max int, p_owner_places_max int, p_lease_ms float8, p_incarnation text
)
RETURNS TABLE (
  id uuid, webhook_id uuid, event_id text, body text, attempts int, tries int, url text,
  secret bytea, sealed_secret text, old_secret bytea, sealed_old_secret text
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('atlas.opens_secrets', 'on', true);
  FOR id, webhook_id, event_id, body, attempts, tries, url IN
    SELECT c.id, c.webhook_id, c.event_id, c.body, c.attempts, c.tries, c.url
      FROM claim_held_deliveries(p_free, p_places_max, p_owner_places_max, p_lease_ms, p_incarnation) c
  LOOP
    SELECT w.secret,
           CASE WHEN w.secret IS NULL THEN w.sealed_secret END,
           CASE WHEN w.old_secret_until > now() THEN w.old_secret END,
           CASE WHEN w.old_secret_until > now() AND w.old_secret IS NULL THEN
             -- A host of the release before has replaced a sealed secret.
             CASE WHEN w.secret IS NULL THEN w.sealed_old_secret ELSE coalesce(w.sealed_secret, w.sealed_old_secret) END
           END
      INTO secret, sealed_secret, old_secret, sealed_old_secret
      FROM webhooks w WHERE w.id = claim_sealed_deliveries.webhook_id;
    RETURN NEXT;
  END LOOP;
END $$;
