-- number: 2
-- migration: 17
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Returns the events at these positions, in order, with what transfers contribute to them.
CREATE OR REPLACE FUNCTION read_events_at(p_positions bigint[])
RETURNS TABLE (
  "position" bigint, owner text, type text, key text, sequence bigint, occurred_at timestamptz, transfer_id uuid,
  data jsonb, debit_account_id uuid, credit_account_id uuid, ledger text, amount bigint, reference text, metadata jsonb
) LANGUAGE plpgsql
-- Each step is an index probe. A plan that was made while the tables were small would scan them when they are large.
SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT e.position, e.owner, e.type, e.key, e.sequence, e.occurred_at, e.transfer_id, e.data,
         t.debit_account_id, t.credit_account_id, t.ledger, t.amount, t.reference,
         -- A payee does not see what a payer of another organization wrote.
         CASE WHEN e.type = 'account.credited.v1' AND (SELECT isolates_owners FROM transfer_id_secret)
               AND (SELECT a.owner FROM accounts a WHERE a.id = t.debit_account_id) <> e.owner
              THEN '{}' ELSE t.metadata END
    FROM unnest(p_positions) p(position)
   CROSS JOIN LATERAL (SELECT * FROM events WHERE position = p.position LIMIT 1) e
    LEFT JOIN LATERAL (SELECT * FROM transfers WHERE id = e.transfer_id LIMIT 1) t ON true
   ORDER BY e.position;
END $$;
