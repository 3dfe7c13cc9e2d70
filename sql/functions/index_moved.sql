-- number: 1
-- migration: 25
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Takes the account that was given to another owner first one step further: its next transfers get the terms of who has them
-- now, and lose those of the former owner. Returns whether there was one. The caller is `index_next`.
CREATE OR REPLACE FUNCTION index_moved(p_seed bigint, p_rows_max int) RETURNS boolean LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off AS $$
DECLARE
  m search_moves;
  ids uuid[];
  last bigint;
BEGIN
  SELECT * INTO m FROM search_moves ORDER BY id LIMIT 1;
  IF NOT FOUND THEN RETURN false; END IF;
  IF m.is_debit_done THEN
    SELECT array_agg(n.id), max(n.credit_version) INTO ids, last FROM (
      SELECT id, credit_version FROM transfers WHERE credit_account_id = m.account_id AND credit_version > m.after_version
       ORDER BY credit_version LIMIT p_rows_max) n;
  ELSE
    SELECT array_agg(n.id), max(n.debit_version) INTO ids, last FROM (
      SELECT id, debit_version FROM transfers WHERE debit_account_id = m.account_id AND debit_version > m.after_version
       ORDER BY debit_version LIMIT p_rows_max) n;
  END IF;
  IF ids IS NOT NULL THEN
    DELETE FROM transfer_terms x USING (
      SELECT t.created_at, t.id, former.term
        FROM transfers t
        JOIN accounts d ON d.id = t.debit_account_id
        JOIN accounts c ON c.id = t.credit_account_id
       CROSS JOIN LATERAL (
         SELECT term FROM transfer_terms_of(p_seed, m.former_owner, true, t.debit_account_id, t.credit_account_id, t.reference, t.metadata) term
         EXCEPT
         SELECT term FROM transfer_terms_of(p_seed, m.former_owner, d.owner = m.former_owner, t.debit_account_id, t.credit_account_id,
           t.reference, t.metadata) term WHERE m.former_owner IN (d.owner, c.owner)) former
       WHERE t.id = ANY (ids)) stale
     WHERE x.term = stale.term AND x.created_at = stale.created_at AND x.id = stale.id;
    PERFORM index_transfers('transfer_terms', ids);
  END IF;
  IF coalesce(cardinality(ids), 0) = p_rows_max THEN UPDATE search_moves SET after_version = last WHERE id = m.id;
  ELSIF m.is_debit_done THEN DELETE FROM search_moves WHERE id = m.id;
  ELSE UPDATE search_moves SET is_debit_done = true, after_version = 0 WHERE id = m.id;
  END IF;
  RETURN true;
END $$;
