-- Where events are sent to. `version` counts what a reader of the resource can see, and is its ETag.
CREATE TABLE webhooks (
  id              uuid PRIMARY KEY,
  owner           text NOT NULL,
  url             text NOT NULL CHECK (length(url) <= 2048),
  -- Null stands for all types.
  event_types     text[],
  description     text,
  enabled         boolean NOT NULL DEFAULT true,
  -- Why Atlas has disabled it; null while it is enabled, or when its owner did.
  disabled_reason text CHECK (disabled_reason IN ('failing', 'gone')),
  disabled_at     timestamptz,
  -- How often Atlas has disabled it: the sequence of its events.
  disabled_count  bigint NOT NULL DEFAULT 0,
  -- Since when every attempt has failed.
  failing_since   timestamptz,
  -- When the last attempt that failed did.
  failed_at       timestamptz,
  -- Plain, because each delivery is signed with it: SECURITY.md tells why.
  secret          bytea NOT NULL CHECK (length(secret) BETWEEN 24 AND 64),
  old_secret      bytea,
  old_secret_until timestamptz,
  version         bigint NOT NULL DEFAULT 1,
  created_at      timestamptz NOT NULL DEFAULT now(),
  -- When a delivery of it was last begun, so that all take turns.
  claimed_at      timestamptz NOT NULL DEFAULT '-infinity',
  -- A deleted one stays until its deliveries are gone, which is done in steps.
  deleted_at      timestamptz,
  CHECK ((old_secret IS NULL) = (old_secret_until IS NULL)),
  CHECK (deleted_at IS NULL OR NOT enabled)
) WITH (fillfactor = 70);
CREATE INDEX webhooks_by_owner ON webhooks (owner, id) WHERE deleted_at IS NULL;
CREATE INDEX webhooks_deleted ON webhooks (deleted_at) WHERE deleted_at IS NOT NULL;

-- One event for one webhook. `attempts` counts all that were begun and fences them: a result is only taken from the
-- last one. `tries` counts those of the present round of retries, which a replay begins anew.
CREATE TABLE webhook_deliveries (
  id              uuid PRIMARY KEY,
  webhook_id      uuid NOT NULL REFERENCES webhooks,
  event_id        text NOT NULL,
  event_type      text NOT NULL,
  -- The very bytes that are signed and sent, however often.
  body            text NOT NULL,
  state           text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed')),
  attempts        int NOT NULL DEFAULT 0,
  tries           int NOT NULL DEFAULT 0,
  -- When the next attempt is due. While one runs, when it counts as lost.
  next_attempt_at timestamptz NOT NULL DEFAULT now(),
  leased_until    timestamptz,
  created_at      timestamptz NOT NULL DEFAULT now(),
  UNIQUE (webhook_id, event_id)
) WITH (fillfactor = 85);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_attempt_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_in_flight ON webhook_deliveries (webhook_id) WHERE leased_until IS NOT NULL;
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_not_delivered ON webhook_deliveries (webhook_id, id) WHERE state <> 'delivered';
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (created_at);

CREATE TABLE webhook_attempts (
  delivery_id uuid NOT NULL REFERENCES webhook_deliveries ON DELETE CASCADE,
  number      int NOT NULL,
  started_at  timestamptz NOT NULL,
  duration_ms int NOT NULL,
  -- Of the answer, where there was one.
  status      int,
  -- Why it failed; null for one that was delivered.
  failure     text,
  PRIMARY KEY (delivery_id, number)
);

-- How many more deliveries of a webhook may run at once, over all hosts. One that fails gets a single place, so that
-- many targets that time out cannot hold every place there is.
CREATE FUNCTION free_webhook_places(p_webhook uuid, p_failing_since timestamptz, p_places_max int) RETURNS bigint
LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN p_failing_since IS NULL THEN p_places_max ELSE 1 END - count(*)
    FROM webhook_deliveries WHERE webhook_id = p_webhook AND leased_until > now()
$$;

-- How many deliveries of each owner run now, over all hosts.
CREATE FUNCTION taken_webhook_places() RETURNS TABLE (owner text, places bigint) LANGUAGE sql STABLE AS $$
  SELECT w.owner, count(*) FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id
   WHERE d.leased_until > now() GROUP BY w.owner
$$;

-- Takes up to `p_free` due deliveries for the caller, until the lease ends. The webhooks take turns, those that waited
-- longest first; one that fails stands back for a minute, as it probably holds its place until its timeout. Two
-- statements, so that the second sees what others took until the webhooks were locked.
CREATE FUNCTION claim_webhook_deliveries(p_free int, p_places_max int, p_owner_places_max int, p_lease_ms float8)
RETURNS TABLE (
  id uuid, webhook_id uuid, event_id text, body text, attempts int, tries int, url text, secret bytea, old_secret bytea
) LANGUAGE plpgsql
-- Each step is one probe of an index; after many new rows the planner would rather read whole tables.
SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  chosen uuid[];
BEGIN
  WITH RECURSIVE waiting AS (
    -- The delivery of each webhook that is due first, one probe for each.
    (SELECT d.webhook_id, d.next_attempt_at FROM webhook_deliveries d WHERE d.state = 'pending'
      ORDER BY d.webhook_id, d.next_attempt_at LIMIT 1)
    UNION ALL
    SELECT n.webhook_id, n.next_attempt_at FROM waiting CROSS JOIN LATERAL (
      SELECT d.webhook_id, d.next_attempt_at FROM webhook_deliveries d
       WHERE d.state = 'pending' AND d.webhook_id > waiting.webhook_id
       ORDER BY d.webhook_id, d.next_attempt_at LIMIT 1) n
  )
  SELECT array_agg(c.id ORDER BY c.turn) INTO chosen FROM (
    SELECT w.id, t.turn FROM waiting JOIN webhooks w ON w.id = waiting.webhook_id
     CROSS JOIN LATERAL (
       SELECT CASE WHEN w.failing_since IS NULL THEN w.claimed_at ELSE w.claimed_at + interval '1 minute' END AS turn) t
     WHERE waiting.next_attempt_at <= now() AND w.enabled
       AND free_webhook_places(w.id, w.failing_since, p_places_max) > 0
       AND w.owner NOT IN (SELECT p.owner FROM taken_webhook_places() p WHERE p.places >= p_owner_places_max)
     ORDER BY t.turn LIMIT p_free FOR NO KEY UPDATE OF w SKIP LOCKED) c;
  IF chosen IS NULL THEN RETURN; END IF;

  RETURN QUERY
  WITH found AS MATERIALIZED (
    SELECT d.id, w.id AS webhook_id, w.owner, c.no FROM unnest(chosen) WITH ORDINALITY c(id, no)
      JOIN webhooks w ON w.id = c.id
      CROSS JOIN LATERAL (
        SELECT d.id FROM webhook_deliveries d
         WHERE d.webhook_id = w.id AND d.state = 'pending' AND d.next_attempt_at <= now()
         ORDER BY d.next_attempt_at LIMIT greatest(0, free_webhook_places(w.id, w.failing_since, p_places_max))
         FOR UPDATE SKIP LOCKED) d
  ), due AS MATERIALIZED (
    SELECT f.id, f.webhook_id
      FROM (SELECT found.*, row_number() OVER (PARTITION BY found.owner ORDER BY found.no) AS nth FROM found) f
      LEFT JOIN taken_webhook_places() p ON p.owner = f.owner
     WHERE f.nth <= p_owner_places_max - coalesce(p.places, 0)
     ORDER BY f.no LIMIT p_free
  ), turned AS (
    UPDATE webhooks w SET claimed_at = clock_timestamp() FROM due WHERE w.id = due.webhook_id
  )
  UPDATE webhook_deliveries d
     SET attempts = d.attempts + 1, tries = d.tries + 1,
         leased_until = now() + p_lease_ms * interval '1 millisecond',
         next_attempt_at = now() + p_lease_ms * interval '1 millisecond'
    FROM due JOIN webhooks w ON w.id = due.webhook_id WHERE d.id = due.id
  RETURNING d.id, d.webhook_id, d.event_id, d.body, d.attempts, d.tries, w.url, w.secret,
            CASE WHEN w.old_secret_until > now() THEN w.old_secret END;
END $$;

-- Writes down how an attempt ended, and answers whether the webhook was disabled by that. Nothing counts that is not of
-- the last attempt, nor against a webhook whose URL was changed since. The webhook is locked before the delivery.
-- `p_tries` is how many tries the round had with this attempt: there are fewer when a replay has begun a new one.
CREATE FUNCTION settle_webhook_delivery(
  p_id uuid, p_webhook uuid, p_url text, p_attempt int, p_tries int, p_state text, p_wait_ms float8, p_status int,
  p_failure text, p_duration_ms int, p_is_gone boolean, p_failing_days_max int, p_silent_hours_max int
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  is_disabled boolean := false;
BEGIN
  -- What is not the last attempt any more never becomes it again, so this needs no lock.
  IF NOT EXISTS (SELECT FROM webhook_deliveries
                  WHERE id = p_id AND attempts = p_attempt AND leased_until IS NOT NULL) THEN
    RETURN false;
  END IF;
  IF p_failure IS NULL THEN
    UPDATE webhooks SET failing_since = NULL, version = version + 1
     WHERE id = p_webhook AND url = p_url AND failing_since IS NOT NULL;
  ELSE
    -- Two failures with a long silence between them are not one that lasts.
    UPDATE webhooks SET failing_since = now(), version = version + 1
     WHERE id = p_webhook AND url = p_url
       AND (failing_since IS NULL OR failed_at < now() - make_interval(hours => p_silent_hours_max));
    UPDATE webhooks SET failed_at = now() WHERE id = p_webhook AND url = p_url;
    WITH ended AS (
      UPDATE webhooks
         SET enabled = false, disabled_reason = CASE WHEN p_is_gone THEN 'gone' ELSE 'failing' END, disabled_at = now(),
             disabled_count = disabled_count + 1, version = version + 1
       WHERE id = p_webhook AND url = p_url AND enabled
         AND (p_is_gone OR failing_since <= now() - make_interval(days => p_failing_days_max))
      RETURNING *
    )
    INSERT INTO outbox (owner, type, key, sequence, occurred_at, data)
      SELECT owner, 'webhook.disabled.v1', id, disabled_count, disabled_at, jsonb_build_object('webhookId', id, 'url', url,
        'reason', CASE WHEN p_is_gone THEN 'The target answered that it is gone for good (410).' ELSE format(
          'Every attempt since %s has failed.', to_char(failing_since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) END)
        FROM ended;
    is_disabled := FOUND;
  END IF;

  UPDATE webhook_deliveries
     SET state = CASE WHEN p_failure IS NOT NULL AND tries < p_tries THEN 'pending' ELSE p_state END,
         leased_until = NULL,
         next_attempt_at = CASE WHEN p_failure IS NOT NULL AND tries < p_tries THEN now()
           ELSE now() + p_wait_ms * interval '1 millisecond' END
   WHERE id = p_id AND attempts = p_attempt AND leased_until IS NOT NULL;
  IF FOUND THEN
    INSERT INTO webhook_attempts (delivery_id, number, started_at, duration_ms, status, failure)
      VALUES (p_id, p_attempt, now() - p_duration_ms * interval '1 millisecond', p_duration_ms, p_status, p_failure);
  END IF;
  RETURN is_disabled;
END $$;
