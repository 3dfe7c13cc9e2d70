-- number: 3
-- migration: 9
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Moves the first rows of the outbox to the log, with the next positions, if every event is complete and continues its
-- key, and no key is parked: the usual case of a log without a publisher, in one round trip. Otherwise moves nothing, and
-- `moved` is null.
-- All results are null if the epoch is not the newest.
CREATE OR REPLACE FUNCTION move_outbox(
  p_epoch bigint, p_rows_max int,
  -- The last position of the log, the rows that were moved, and the events that they became.
  OUT last_position bigint, OUT moved bigint, OUT sent bigint
) LANGUAGE plpgsql
-- Each step is an index probe. A plan that was made while the tables were small would scan them when they are large.
SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  before bigint;
  is_clean boolean;
BEGIN
  -- An idle relay calls this ten times per second. A lock would be written to disk each time.
  IF NOT EXISTS (SELECT FROM outbox) THEN
    SELECT r.last_position, 0, 0 INTO last_position, moved, sent FROM relay r WHERE is_only AND r.epoch = p_epoch;
    RETURN;
  END IF;
  SELECT r.last_position INTO before FROM relay r WHERE is_only AND r.epoch = p_epoch FOR UPDATE;
  IF NOT FOUND THEN RETURN; END IF;
  last_position := before;
  sent := 0;
  IF EXISTS (SELECT FROM parked_keys) THEN RETURN; END IF;

  WITH batch AS MATERIALIZED (
    SELECT * FROM outbox ORDER BY id LIMIT p_rows_max
  ), sides AS MATERIALIZED (
    SELECT b.id, s.side, s.owner, s.type, s.account_id::text AS key, s.version AS sequence,
           b.posted_at AS occurred_at, b.transfer_id, NULL::jsonb AS data
      FROM batch b
     CROSS JOIN LATERAL (
       VALUES (1, b.debit_owner, 'account.debited.v1', b.debit_account_id, b.debit_version),
              (2, b.credit_owner, 'account.credited.v1', b.credit_account_id, b.credit_version)
     ) s(side, owner, type, account_id, version)
     WHERE b.transfer_id IS NOT NULL
    UNION ALL
    SELECT id, 1, owner, type, key, sequence, occurred_at, NULL, data FROM batch WHERE transfer_id IS NULL
  ), numbered AS MATERIALIZED (
    SELECT *, lag(sequence) OVER (PARTITION BY key ORDER BY id, side) AS previous FROM sides
  ), checked AS MATERIALIZED (
    -- The first event of a key may have any sequence. A host of the release before leaves the owner to the relay.
    SELECT coalesce(bool_and(owner IS NOT NULL AND coalesce(sequence = 1 + coalesce(previous, greatest(
             (SELECT max(e.sequence) FROM events e WHERE e.key = n.key),
             (SELECT l.sequence FROM forgotten_keys l WHERE l.key = n.key))), true)), true) AS is_clean
      FROM numbered n
  ), inserted AS (
    INSERT INTO events (position, owner, type, key, sequence, occurred_at, transfer_id, data)
    SELECT before + row_number() OVER (ORDER BY id, side), owner, type, key, sequence, occurred_at, transfer_id, data
      FROM numbered WHERE (SELECT is_clean FROM checked)
  ), gone AS (
    -- In this snapshot, the rows up to the last one of the batch are the batch.
    DELETE FROM outbox WHERE id <= (SELECT max(id) FROM batch) AND (SELECT is_clean FROM checked)
  )
  SELECT c.is_clean, (SELECT count(*) FROM batch), (SELECT count(*) FROM sides)
    INTO is_clean, moved, sent FROM checked c;
  IF NOT is_clean THEN
    moved := NULL;
    sent := 0;
  ELSIF sent > 0 THEN
    last_position := before + sent;
    UPDATE relay SET last_position = before + move_outbox.sent WHERE is_only;
  END IF;
END $$;
