-- number: 1
-- migration: 26
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Writes checkpoints for entries without a balance, of accounts in the order of their ids: `entry_balance`. Each call is one
-- step, so that a process may be killed after any of them. Only one host at a time makes one.
CREATE OR REPLACE FUNCTION backfill_balances(p_entries_max int, OUT is_done boolean, OUT checkpoints int) LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  step CONSTANT bigint := 256;
  passed uuid;
  account uuid;
  entries bigint;
  last bigint;
  known bigint;
  is_old boolean;
BEGIN
  checkpoints := 0;
  SELECT b.account_id, b.is_done INTO passed, is_done FROM balance_backfill b WHERE b.is_only FOR UPDATE SKIP LOCKED;
  -- Another host is at it.
  IF NOT FOUND THEN is_done := true; END IF;
  WHILE NOT is_done AND p_entries_max > 0 LOOP
    SELECT id, version INTO account, entries FROM accounts WHERE passed IS NULL OR id > passed ORDER BY id LIMIT 1;
    IF NOT FOUND THEN is_done := true; EXIT; END IF;
    p_entries_max := p_entries_max - 1;
    IF entries >= step THEN
      SELECT version, balance INTO last, known FROM balance_checkpoints WHERE account_id = account ORDER BY version DESC LIMIT 1;
      last := coalesce(last, 0); known := coalesce(known, 0);
      WHILE p_entries_max > 0 LOOP
        SELECT balance IS NULL INTO is_old FROM (
          SELECT debit_balance AS balance FROM transfers WHERE debit_account_id = account AND debit_version = last + step
          UNION ALL SELECT credit_balance FROM transfers WHERE credit_account_id = account AND credit_version = last + step) entry;
        EXIT WHEN is_old IS NOT true;
        SELECT known + sum(net) INTO known FROM (
          SELECT -amount AS net FROM transfers WHERE debit_account_id = account AND debit_version > last AND debit_version <= last + step
          UNION ALL SELECT amount FROM transfers WHERE credit_account_id = account AND credit_version > last AND credit_version <= last + step
          ) entry;
        last := last + step;
        INSERT INTO balance_checkpoints (account_id, version, balance) VALUES (account, last, known);
        checkpoints := checkpoints + 1;
        p_entries_max := p_entries_max - step;
      END LOOP;
      -- It goes on with this account.
      EXIT WHEN p_entries_max <= 0;
    END IF;
    passed := account;
  END LOOP;
  UPDATE balance_backfill b SET account_id = passed, is_done = backfill_balances.is_done
   WHERE b.is_only AND NOT b.is_done AND (b.account_id IS DISTINCT FROM passed OR backfill_balances.is_done);
END $$;
