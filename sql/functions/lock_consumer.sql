-- number: 2
-- migration: 9
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Locks the position of a consumer in the table `events` (partition -1) until the transaction ends, and returns the
-- range of positions that it handles next: after the first, up to the second, at most `p_events_max` of them.
CREATE OR REPLACE FUNCTION lock_consumer(p_consumer text, p_events_max int, OUT after bigint, OUT up_to bigint)
LANGUAGE plpgsql SET jit = off AS $$
BEGIN
  SELECT position INTO after FROM consumer_offsets WHERE consumer = p_consumer AND partition = -1 FOR UPDATE;
  IF NOT FOUND THEN
    INSERT INTO consumer_offsets (consumer, partition, position) VALUES (p_consumer, -1, 0) ON CONFLICT DO NOTHING;
    SELECT position INTO after FROM consumer_offsets WHERE consumer = p_consumer AND partition = -1 FOR UPDATE;
  END IF;
  -- What was deleted after its retention was read by every consumer, so a new one starts behind it.
  SELECT greatest(after, position) INTO after FROM log_start;
  -- From there on, positions have no gaps, so this one is in the table.
  SELECT least(after + p_events_max, greatest(after, last_position)) INTO up_to FROM relay;
END $$;
