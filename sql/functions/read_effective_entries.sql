-- number: 1
-- migration: 26
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Returns entries of an account that have a time of effect of their own, in the order of these times: those after a position,
-- up to a version, that took effect before a moment. What they did to the balance is `net`.
CREATE OR REPLACE FUNCTION read_effective_entries(
  p_account uuid, p_last bigint, p_after_at timestamptz, p_after bigint, p_before timestamptz, p_limit int
) RETURNS TABLE (
  version bigint, net bigint, transfer_id uuid, counterparty_id uuid, reference text, created_at timestamptz, effective_at timestamptz
) LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT e.version, e.net, t.id, t.other, t.reference, t.created_at, e.effective_at
    FROM (SELECT * FROM effective_entries
           WHERE account_id = p_account AND (effective_at, version) > (p_after_at, p_after) AND effective_at < p_before AND version <= p_last
           ORDER BY effective_at, version LIMIT p_limit) e
    CROSS JOIN LATERAL (
      SELECT id, credit_account_id AS other, reference, created_at FROM transfers
       WHERE debit_account_id = p_account AND debit_version = e.version
      UNION ALL
      SELECT id, debit_account_id, reference, created_at FROM transfers WHERE credit_account_id = p_account AND credit_version = e.version
    ) t ORDER BY e.effective_at, e.version;
END $$;
