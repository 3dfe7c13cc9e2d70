-- number: 1
-- migration: 26
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Returns the balance of an account after one of its entries; 0 before the first. Rows of the releases before have none:
-- then it is counted from the last checkpoint, which is at most 255 entries before once `backfill_balances` is done.
CREATE OR REPLACE FUNCTION entry_balance(p_account uuid, p_version bigint) RETURNS bigint LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET jit = off AS $$
DECLARE
  known bigint;
  since bigint;
BEGIN
  IF p_version = 0 THEN RETURN 0; END IF;
  SELECT balance INTO known FROM (
    SELECT debit_balance AS balance FROM transfers WHERE debit_account_id = p_account AND debit_version = p_version
    UNION ALL SELECT credit_balance FROM transfers WHERE credit_account_id = p_account AND credit_version = p_version) entry;
  IF NOT FOUND THEN RAISE EXCEPTION 'account % has no entry %', p_account, p_version USING ERRCODE = 'data_corrupted'; END IF;
  IF known IS NOT NULL THEN RETURN known; END IF;
  SELECT version, balance INTO since, known FROM balance_checkpoints
   WHERE account_id = p_account AND version <= p_version ORDER BY version DESC LIMIT 1;
  since := coalesce(since, 0);
  RETURN coalesce(known, 0) + (SELECT coalesce(sum(net), 0) FROM (
    SELECT -amount AS net FROM transfers WHERE debit_account_id = p_account AND debit_version > since AND debit_version <= p_version
    UNION ALL SELECT amount FROM transfers WHERE credit_account_id = p_account AND credit_version > since AND credit_version <= p_version
    ) entry);
END $$;
