-- number: 7
-- migration: 9
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Claims up to `p_free` due deliveries for the caller, until the lease expires. Webhooks take turns, the longest waiting
-- first; a failing one is put back by a minute, because it probably occupies its slot until the timeout, and all of an
-- owner by a second for each of its deliveries in flight. Of those found, owners with the fewest in flight come first, and
-- of an owner those of as many webhooks as possible. Failing ones have 64 slots of each host in all. If many wait, only
-- those that have waited longest are considered.
-- Two statements, so that the second one sees what others claimed before the webhooks were locked.
-- `claim_held_deliveries` calls it too. Only a caller that says that it opens secrets gets webhooks whose secret is sealed.
CREATE OR REPLACE FUNCTION claim_webhook_deliveries(p_free int, p_places_max int, p_owner_places_max int, p_lease_ms float8)
RETURNS TABLE (
  id uuid, webhook_id uuid, event_id text, body text, attempts int, tries int, url text, secret bytea, old_secret bytea
) LANGUAGE plpgsql
-- Each step is an index probe. After many inserts the planner would prefer to scan whole tables.
SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  -- More webhooks than a host has slots.
  candidates_max CONSTANT int := 256;
  candidates uuid[];
  full_owners text[];
  chosen uuid[];
  failing_free bigint;
BEGIN
  -- One slot for each target that hangs would be all slots of a host if there are as many such targets.
  SELECT 64 - count(*) INTO failing_free FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id
   WHERE d.leased_until > now() AND w.failing_since IS NOT NULL
     AND d.incarnation IS NOT DISTINCT FROM nullif(current_setting('atlas.incarnation', true), '');

  WITH RECURSIVE waiting AS (
    -- Each webhook with pending deliveries, with one probe each.
    (SELECT d.webhook_id, 1 AS nth FROM webhook_deliveries d WHERE d.state = 'pending' ORDER BY d.webhook_id LIMIT 1)
    UNION ALL
    SELECT n.webhook_id, waiting.nth + 1 FROM waiting CROSS JOIN LATERAL (
      SELECT d.webhook_id FROM webhook_deliveries d WHERE d.state = 'pending' AND d.webhook_id > waiting.webhook_id
       ORDER BY d.webhook_id LIMIT 1) n
     WHERE waiting.nth <= candidates_max
  )
  SELECT array_agg(waiting.webhook_id) INTO candidates FROM waiting;
  IF cardinality(candidates) > candidates_max THEN
    -- Considering all of them would take longer the more wait. Those that have waited longest may all be failing.
    SELECT coalesce(array_agg(p.owner), '{}') INTO full_owners FROM taken_webhook_places() p
     WHERE p.places >= p_owner_places_max;
    SELECT array_agg(c.id) INTO candidates FROM (VALUES (true), (false)) s(fails) CROSS JOIN LATERAL (
      SELECT w.id FROM (
        SELECT id, claimed_at, failing_since FROM webhooks
         WHERE enabled AND (failing_since IS NOT NULL) = s.fails AND owner <> ALL (full_owners)
           AND (secret IS NOT NULL OR current_setting('atlas.opens_secrets', true) = 'on')
         ORDER BY claimed_at OFFSET 0) w
       CROSS JOIN LATERAL (
         SELECT free_webhook_places(w.id, w.failing_since, p_places_max) AS free FROM webhook_deliveries d
          WHERE d.webhook_id = w.id AND d.state = 'pending' AND d.next_attempt_at <= now()
          ORDER BY d.next_attempt_at LIMIT 1) due
       WHERE due.free > 0
       ORDER BY w.claimed_at LIMIT candidates_max) c;
  END IF;

  WITH ready AS (
    SELECT w.id, w.failing_since IS NOT NULL AS is_failing, t.turn, coalesce(p.places, 0)
           + row_number() OVER (PARTITION BY w.owner, w.failing_since IS NULL ORDER BY t.turn) AS nth
      FROM webhooks w LEFT JOIN taken_webhook_places() p ON p.owner = w.owner
     CROSS JOIN LATERAL (
       SELECT CASE WHEN w.failing_since IS NULL THEN w.claimed_at ELSE w.claimed_at + interval '1 minute' END
              + coalesce(p.places, 0) * interval '1 second' AS turn) t
     WHERE w.id = ANY (candidates) AND w.enabled
       AND EXISTS (SELECT FROM webhook_deliveries d
                    WHERE d.webhook_id = w.id AND d.state = 'pending' AND d.next_attempt_at <= now())
       AND (w.secret IS NOT NULL OR current_setting('atlas.opens_secrets', true) = 'on')
       AND free_webhook_places(w.id, w.failing_since, p_places_max) > 0
       AND coalesce(p.places, 0) < p_owner_places_max
  ), ranked AS (
    SELECT r.*, row_number() OVER (PARTITION BY r.is_failing ORDER BY r.nth, r.turn) AS rank FROM ready r
  )
  SELECT array_agg(c.id ORDER BY c.turn) INTO chosen FROM (
    SELECT w.id, r.turn FROM ranked r JOIN webhooks w ON w.id = r.id
     WHERE w.enabled AND (NOT r.is_failing OR r.rank <= failing_free)
     ORDER BY r.turn LIMIT p_free FOR NO KEY UPDATE OF w SKIP LOCKED) c;
  IF chosen IS NULL THEN RETURN; END IF;

  RETURN QUERY
  WITH found AS MATERIALIZED (
    SELECT d.id, w.id AS webhook_id, w.owner, d.next_attempt_at, c.no FROM unnest(chosen) WITH ORDINALITY c(id, no)
      JOIN webhooks w ON w.id = c.id
      CROSS JOIN LATERAL (
        SELECT d.id, d.next_attempt_at FROM webhook_deliveries d
         WHERE d.webhook_id = w.id AND d.state = 'pending' AND d.next_attempt_at <= now()
         ORDER BY d.next_attempt_at LIMIT greatest(0, free_webhook_places(w.id, w.failing_since, p_places_max))
         FOR UPDATE SKIP LOCKED) d
  ), due AS MATERIALIZED (
    SELECT f.id, f.webhook_id
      FROM (SELECT g.*, row_number() OVER (PARTITION BY g.owner ORDER BY g.depth, g.no) AS nth
              FROM (SELECT found.*, row_number() OVER (PARTITION BY webhook_id ORDER BY next_attempt_at) AS depth
                      FROM found) g) f
      LEFT JOIN taken_webhook_places() p ON p.owner = f.owner
     WHERE f.nth <= p_owner_places_max - coalesce(p.places, 0)
     ORDER BY coalesce(p.places, 0) + f.nth, f.no LIMIT p_free
  ), turned AS (
    UPDATE webhooks w SET claimed_at = clock_timestamp() FROM due WHERE w.id = due.webhook_id
  )
  UPDATE webhook_deliveries d
     SET attempts = d.attempts + 1, tries = d.tries + 1,
         leased_until = now() + p_lease_ms * interval '1 millisecond',
         next_attempt_at = now() + p_lease_ms * interval '1 millisecond',
         incarnation = nullif(current_setting('atlas.incarnation', true), '')
    FROM due JOIN webhooks w ON w.id = due.webhook_id WHERE d.id = due.id
  RETURNING d.id, d.webhook_id, d.event_id,
            coalesce(d.body, (SELECT b.body FROM webhook_bodies b WHERE b.owner = w.owner AND b.event_id = d.event_id)),
            d.attempts, d.tries, w.url, w.secret,
            CASE WHEN w.old_secret_until > now() THEN w.old_secret END;
END $$;
