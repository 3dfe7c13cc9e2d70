-- number: 1
-- migration: 7
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Moves the position of a consumer in the table `events` (partition -1) to the end of a range that it has locked (see
-- `lock_consumer`), and records the events of the range as seen, except those of the owners whose events it has handled.
-- Returns how many were recorded, and how many it had seen before.
CREATE OR REPLACE FUNCTION advance_consumer(
  p_consumer text, p_after bigint, p_up_to bigint, p_handled_owners text[], OUT recorded bigint, OUT repeated bigint
) LANGUAGE plpgsql
-- Each step is an index probe. A plan that was made while the tables were small would scan them when they are large.
SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  WITH range AS MATERIALIZED (
    SELECT key, sequence FROM events
     WHERE position > p_after AND position <= p_up_to AND owner <> ALL (p_handled_owners)
  ), keys AS MATERIALIZED (
    -- In the order of their keys, in which every consumer locks them.
    SELECT key, count(*) AS events, max(sequence) AS last FROM range GROUP BY key ORDER BY key COLLATE "C"
  ), counted AS MATERIALIZED (
    SELECT k.key, k.last, CASE WHEN i.sequence IS NULL THEN k.events
             ELSE least(k.events, greatest(0, k.last - i.sequence)) END AS fresh, k.events
      FROM keys k LEFT JOIN LATERAL (
        SELECT sequence FROM inbox WHERE consumer = p_consumer AND key = k.key LIMIT 1) i ON true
  ), seen AS (
    INSERT INTO inbox (consumer, key, sequence) SELECT p_consumer, key, last FROM counted WHERE fresh > 0
    ON CONFLICT (consumer, key) DO UPDATE SET sequence = excluded.sequence WHERE inbox.sequence < excluded.sequence
  )
  SELECT coalesce(sum(fresh), 0), coalesce(sum(events - fresh), 0) INTO recorded, repeated FROM counted;
  UPDATE consumer_offsets SET position = p_up_to WHERE consumer = p_consumer AND partition = -1;
END $$;
