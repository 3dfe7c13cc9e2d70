-- number: 2
-- migration: 15
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Returns the events of a range of positions, in order, with what transfers contribute to them. Of these owners only,
-- unless `p_owners` is null.
CREATE OR REPLACE FUNCTION read_events(p_after bigint, p_up_to bigint, p_owners text[])
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
    FROM (SELECT * FROM events
           WHERE position > p_after AND position <= p_up_to AND (p_owners IS NULL OR owner = ANY (p_owners))) e
    LEFT JOIN LATERAL (SELECT * FROM transfers WHERE id = e.transfer_id LIMIT 1) t ON true
   ORDER BY e.position;
END $$;
