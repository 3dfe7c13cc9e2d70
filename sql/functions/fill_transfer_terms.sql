-- number: 1
-- migration: 25
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Indexes the next transfers after this one, in the order of the accounts that they debit, and returns the last of them, and
-- how many there were: fewer than `p_limit` at the end.
CREATE OR REPLACE FUNCTION fill_transfer_terms(
  p_table regclass, p_after_account uuid, p_after_version bigint, p_limit int,
  OUT last_account uuid, OUT last_version bigint, OUT count int
) LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
DECLARE
  ids uuid[];
BEGIN
  SELECT array_agg(n.id), (array_agg(n.debit_account_id ORDER BY n.debit_account_id DESC, n.debit_version DESC))[1],
         (array_agg(n.debit_version ORDER BY n.debit_account_id DESC, n.debit_version DESC))[1], count(*)
    INTO ids, last_account, last_version, fill_transfer_terms.count
    FROM (SELECT t.id, t.debit_account_id, t.debit_version FROM transfers t
           WHERE (t.debit_account_id, t.debit_version)
             > (coalesce(p_after_account, '00000000-0000-0000-0000-000000000000'), coalesce(p_after_version, -1))
           ORDER BY t.debit_account_id, t.debit_version LIMIT p_limit) n;
  IF ids IS NOT NULL THEN PERFORM index_transfers(p_table, ids); END IF;
END $$;
