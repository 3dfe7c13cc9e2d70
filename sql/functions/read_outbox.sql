-- number: 2
-- migration: 9
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Returns the first rows of the outbox in order, except the given ones, with the content of their events and the last
-- event of each key that was sent. One statement, so one snapshot.
CREATE OR REPLACE FUNCTION read_outbox(p_rows_max int, p_except bigint[])
RETURNS TABLE (
  id bigint, transfer_id uuid, debit_account_id uuid, debit_version bigint, credit_account_id uuid,
  credit_version bigint, key text, sequence bigint, owner text, type text, occurred_at timestamptz, data jsonb,
  ledger text, amount bigint, reference text, metadata jsonb, created_at timestamptz, debit_owner text,
  credit_owner text, debit_last bigint, credit_last bigint, is_debit_parked boolean, is_credit_parked boolean
) LANGUAGE plpgsql
-- Each step is an index probe. A plan that was made while the tables were small would scan them when they are large.
SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT o.id, o.transfer_id, o.debit_account_id, o.debit_version, o.credit_account_id, o.credit_version, o.key,
         o.sequence, o.owner, o.type, o.occurred_at, o.data,
         t.ledger, t.amount, t.reference, t.metadata, t.created_at, d.owner, c.owner,
         greatest((SELECT max(e.sequence) FROM events e WHERE e.key = o.debit_key),
           (SELECT l.sequence FROM forgotten_keys l WHERE l.key = o.debit_key)),
         greatest((SELECT max(e.sequence) FROM events e WHERE e.key = o.credit_account_id::text),
           (SELECT l.sequence FROM forgotten_keys l WHERE l.key = o.credit_account_id::text)),
         EXISTS (SELECT FROM parked_keys p WHERE p.key = o.debit_key),
         EXISTS (SELECT FROM parked_keys p WHERE p.key = o.credit_account_id::text)
    FROM (SELECT *, coalesce(debit_account_id::text, key) AS debit_key
            FROM (SELECT * FROM outbox ORDER BY id LIMIT p_rows_max + cardinality(p_except)) first
           WHERE id NOT IN (SELECT unnest(p_except)) ORDER BY id LIMIT p_rows_max) o
    LEFT JOIN LATERAL (SELECT * FROM transfers WHERE id = o.transfer_id LIMIT 1) t ON true
    LEFT JOIN LATERAL (SELECT owner FROM accounts WHERE id = o.debit_account_id LIMIT 1) d ON true
    LEFT JOIN LATERAL (SELECT owner FROM accounts WHERE id = o.credit_account_id LIMIT 1) c ON true
   ORDER BY o.id;
END $$;
