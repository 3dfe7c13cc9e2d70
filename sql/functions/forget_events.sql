-- number: 3
-- migration: 17
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Deletes the oldest events of the log that are older than `p_days` and that every consumer has read, and not deferred, up
-- to the first one that is not, and at most `p_rows_max`. Nothing on the first day, on which a host of the release before may still run: it
-- takes a transfer without its events for a discrepancy. `overdue_seconds` says how long that one is past its retention, 0 if it is not,
-- and `unread_by` which consumer has not read it. Both are null while this or another process must not delete.
CREATE OR REPLACE FUNCTION forget_events(
  p_days int, p_rows_max int, OUT forgotten bigint, OUT overdue_seconds float8, OUT unread_by text
) LANGUAGE plpgsql
-- Each step is an index probe. A plan that was made while the tables were small would scan them when they are large.
SET enable_seqscan = off SET jit = off SET atlas.forgets_events = 'on' AS $$
#variable_conflict use_column
DECLARE
  before CONSTANT timestamptz := now() - make_interval(days => p_days);
  consumers text[];
  start bigint;
  last bigint;
  cut bigint;
  deferred_from bigint;
  deferred_by text;
BEGIN
  forgotten := 0;
  IF NOT pg_try_advisory_xact_lock(5703951129318916) THEN RETURN; END IF;
  IF EXISTS (SELECT FROM schema_migrations WHERE number = 9 AND applied_at > now() - interval '1 day') THEN RETURN; END IF;
  SELECT coalesce(array_agg(DISTINCT consumer), '{}') INTO consumers FROM consumer_offsets;
  -- The last event stays: a host of the release before takes its position for the end of the log.
  SELECT last_position INTO last FROM relay;
  SELECT position INTO start FROM log_start;
  SELECT positions[1], consumer INTO deferred_from, deferred_by FROM deferred_events ORDER BY positions[1] LIMIT 1;

  WITH oldest AS MATERIALIZED (
    SELECT position, key, sequence, occurred_at FROM events
     WHERE position > start AND position < last ORDER BY position LIMIT p_rows_max
  ), judged AS MATERIALIZED (
    SELECT o.position, o.occurred_at, o.occurred_at < before AS is_old,
           CASE WHEN o.occurred_at >= before THEN NULL
                WHEN consumers = '{}' THEN 'none'
                WHEN o.position >= deferred_from THEN deferred_by
                ELSE (SELECT c.consumer FROM unnest(consumers) c(consumer)
                       WHERE NOT EXISTS (SELECT FROM inbox i
                         WHERE i.consumer = c.consumer AND i.key = o.key AND i.sequence >= o.sequence)
                       LIMIT 1) END AS unread_by
      FROM oldest o
  ), first AS (
    SELECT * FROM judged WHERE NOT is_old OR unread_by IS NOT NULL ORDER BY position LIMIT 1
  )
  SELECT coalesce((SELECT position - 1 FROM first), (SELECT max(position) FROM oldest)),
         coalesce((SELECT greatest(0, extract(epoch FROM before - occurred_at)) FROM first), 0),
         (SELECT f.unread_by FROM first f)
    INTO cut, overdue_seconds, unread_by;

  WITH gone AS (
    DELETE FROM events WHERE position > start AND position <= cut RETURNING position, owner, key, type, sequence, occurred_at
  ), readers AS (
    INSERT INTO forgotten_events (owner, position, occurred_at)
    SELECT owner, max(position), max(occurred_at) FROM gone GROUP BY owner ORDER BY owner
    ON CONFLICT (owner) DO UPDATE SET position = excluded.position,
      occurred_at = greatest(forgotten_events.occurred_at, excluded.occurred_at)
  ), reserved AS (
    -- Of files and webhooks that were deleted before their ids had a range of their own, only the events are left.
    INSERT INTO reserved_ids
    SELECT DISTINCT key::uuid FROM gone
     WHERE type NOT LIKE 'account.%' AND key ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' AND key !~ '^.{14}8a71-a50'
    ON CONFLICT DO NOTHING
  ), keys AS (
    INSERT INTO forgotten_keys (key, sequence)
    SELECT key, max(sequence) FROM gone GROUP BY key ORDER BY key COLLATE "C"
    ON CONFLICT (key) DO UPDATE SET sequence = greatest(forgotten_keys.sequence, excluded.sequence)
  )
  SELECT count(*) INTO forgotten FROM gone;
  UPDATE log_start SET position = cut WHERE position < cut;
END $$;
