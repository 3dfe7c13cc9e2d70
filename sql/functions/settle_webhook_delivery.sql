-- number: 3
-- migration: 14
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Records the result of an attempt, and returns whether it disabled the webhook. Ignores all but the last attempt, and
-- never counts against a webhook whose URL has changed since. The webhook is locked before the delivery. `p_tries` counts
-- the tries of the round, this one included: the row has fewer if a replay has started a new round.
CREATE OR REPLACE FUNCTION settle_webhook_delivery(
  p_id uuid, p_webhook uuid, p_url text, p_attempt int, p_tries int, p_state text, p_wait_ms float8, p_status int,
  p_failure text, p_duration_ms int, p_is_gone boolean, p_failing_days_max int, p_silent_hours_max int
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  is_disabled boolean := false;
BEGIN
  -- An attempt that is no longer the last one never becomes it again, so this needs no lock.
  IF NOT EXISTS (SELECT FROM webhook_deliveries
                  WHERE id = p_id AND attempts = p_attempt AND leased_until IS NOT NULL) THEN
    RETURN false;
  END IF;
  IF p_failure IS NULL THEN
    UPDATE webhooks SET failing_since = NULL, version = version + 1
     WHERE id = p_webhook AND url = p_url AND failing_since IS NOT NULL;
  ELSE
    -- Two failures with a long silence in between are not one lasting failure.
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
    ), audited AS (
      INSERT INTO audit_entries (organization, actor, action, target_type, target_id, before, after)
        SELECT owner, '{"kind": "system", "id": "webhook deliveries"}', 'webhook.disabled', 'webhook', id,
          jsonb_build_object('enabled', true),
          jsonb_build_object('enabled', false, 'disabledReason', disabled_reason,
            -- The query of a URL may contain a token.
            'url', regexp_replace(url, '[?].*', '?…'))
          FROM ended
    )
    INSERT INTO outbox (owner, type, key, sequence, occurred_at, data)
      SELECT owner, 'webhook.disabled.v1', id, disabled_count, disabled_at, jsonb_build_object('webhookId', id, 'url', url,
        'reason', CASE WHEN p_is_gone THEN 'The target returned 410 Gone.' ELSE format(
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
    -- Only the last 50 can be read, and a delivery may be replayed any number of times.
    DELETE FROM webhook_attempts WHERE delivery_id = p_id AND number <= p_attempt - 50;
  END IF;
  RETURN is_disabled;
END $$;
