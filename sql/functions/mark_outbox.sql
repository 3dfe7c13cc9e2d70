-- number: 2
-- migration: 7
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Moves rows of the outbox to the log, with the next positions. Rows of keys that are parked, or have poison here, move
-- to the parked events. They belong to those who had the accounts when the transfer was posted, as in `move_outbox`; hosts
-- of earlier releases did not store that. One statement. Returns nulls, and does nothing, if the epoch is not the newest.
CREATE OR REPLACE FUNCTION mark_outbox(
  p_epoch bigint, p_ids bigint[], p_poison_key text[], p_poison_sequence bigint[], p_poison_reason text[],
  OUT last_position bigint, OUT sent bigint
) LANGUAGE plpgsql
-- Each step is an index probe. A plan that was made while the tables were small would scan them when they are large.
SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  WITH poison AS (
    SELECT * FROM unnest(p_poison_key, p_poison_sequence, p_poison_reason) p(key, sequence, reason)
  ), batch AS MATERIALIZED (
    SELECT * FROM outbox WHERE id = ANY (p_ids)
  ), sides AS MATERIALIZED (
    -- A row without its transfer or account has no owner, which fails the statement: nothing is skipped.
    SELECT b.id, s.side, CASE WHEN a.owner IS NOT NULL THEN coalesce(s.owner, a.owner) END AS owner, s.type, s.account_id::text AS key,
           s.version AS sequence, t.created_at AS occurred_at, b.transfer_id, NULL::jsonb AS data
      FROM batch b
      LEFT JOIN LATERAL (SELECT created_at FROM transfers WHERE id = b.transfer_id LIMIT 1) t ON true
     CROSS JOIN LATERAL (
       VALUES (1, b.debit_owner, 'account.debited.v1', b.debit_account_id, b.debit_version),
              (2, b.credit_owner, 'account.credited.v1', b.credit_account_id, b.credit_version)
     ) s(side, owner, type, account_id, version)
      LEFT JOIN LATERAL (SELECT owner FROM accounts WHERE id = s.account_id LIMIT 1) a ON true
     WHERE b.transfer_id IS NOT NULL
    UNION ALL
    SELECT id, 1, owner, type, key, sequence, occurred_at, NULL, data FROM batch WHERE transfer_id IS NULL
  ), classified AS MATERIALIZED (
    SELECT s.*, EXISTS (SELECT FROM parked_keys k WHERE k.key = s.key)
             OR EXISTS (SELECT FROM poison p WHERE p.key = s.key AND s.sequence >= p.sequence) AS is_parked
      FROM sides s
  ), lease AS (
    UPDATE relay SET last_position = last_position + (SELECT count(*) FROM classified WHERE NOT is_parked)
     WHERE is_only AND epoch = p_epoch RETURNING last_position
  ), first AS (
    SELECT last_position - (SELECT count(*) FROM classified WHERE NOT is_parked) AS before FROM lease
  ), stopped AS (
    INSERT INTO parked_keys (key, reason) SELECT key, reason FROM poison, lease
  ), parked AS (
    INSERT INTO parked_events (key, sequence, owner, type, occurred_at, transfer_id, data)
    SELECT key, sequence, owner, type, occurred_at, transfer_id, data FROM classified, lease WHERE is_parked
     ORDER BY id, side
  ), inserted AS (
    INSERT INTO events (position, owner, type, key, sequence, occurred_at, transfer_id, data)
    SELECT before + row_number() OVER (ORDER BY id, side), owner, type, key, sequence, occurred_at, transfer_id, data
      FROM classified, first WHERE NOT is_parked
  ), gone AS (
    DELETE FROM outbox USING lease WHERE id = ANY (p_ids)
  )
  SELECT lease.last_position, (SELECT count(*) FROM classified WHERE NOT is_parked) INTO last_position, sent FROM lease;
END $$;
