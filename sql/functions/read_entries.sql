-- number: 1
-- migration: 26
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Returns the entries of an account after one version, up to another, in their order. `p_balance`: the balance after the
-- first of the two, if the caller knows it.
CREATE OR REPLACE FUNCTION read_entries(p_account uuid, p_after bigint, p_up_to bigint, p_balance bigint DEFAULT NULL)
RETURNS TABLE (
  version bigint, net bigint, balance bigint, transfer_id uuid, counterparty_id uuid, reference text, created_at timestamptz,
  effective_at timestamptz
) LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  has_balance boolean;
BEGIN
  IF p_balance IS NULL THEN
    -- Only rows of the releases before have no balance, so those after one that has it have it too.
    SELECT entry.balance IS NOT NULL INTO has_balance FROM (
      SELECT debit_balance AS balance FROM transfers WHERE debit_account_id = p_account AND debit_version = p_after + 1
      UNION ALL SELECT credit_balance FROM transfers WHERE credit_account_id = p_account AND credit_version = p_after + 1) entry;
    IF has_balance IS NOT true AND p_up_to > p_after THEN p_balance := entry_balance(p_account, p_after); END IF;
  END IF;
  RETURN QUERY
  SELECT e.version, e.net, coalesce(e.balance, p_balance + sum(e.net) OVER (ORDER BY e.version ROWS UNBOUNDED PRECEDING))::bigint,
         e.id, e.other, e.reference, e.created_at, e.effective_at
    FROM (
      SELECT debit_version AS version, -amount AS net, debit_balance AS balance, id, credit_account_id AS other, reference, created_at,
             effective_at
        FROM transfers WHERE debit_account_id = p_account AND debit_version > p_after AND debit_version <= p_up_to
      UNION ALL
      SELECT credit_version, amount, credit_balance, id, debit_account_id, reference, created_at, effective_at
        FROM transfers WHERE credit_account_id = p_account AND credit_version > p_after AND credit_version <= p_up_to
    ) e ORDER BY e.version;
END $$;
