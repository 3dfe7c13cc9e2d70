-- number: 1
-- migration: 26
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Returns how many of the first `p_last` entries of an account were recorded before a moment. Its times never go backwards,
-- so this is a binary search: some 20 probes of an index for a million entries, and no index that payments would pay for.
CREATE OR REPLACE FUNCTION entry_version_before(p_account uuid, p_before timestamptz, p_last bigint) RETURNS bigint LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET jit = off AS $$
DECLARE
  low bigint := 0;
  high bigint := p_last;
  -- Most moments that are asked for are after the last entry.
  probed bigint := p_last;
  recorded_at timestamptz;
BEGIN
  WHILE low < high LOOP
    SELECT created_at INTO recorded_at FROM (
      SELECT created_at FROM transfers WHERE debit_account_id = p_account AND debit_version = probed
      UNION ALL SELECT created_at FROM transfers WHERE credit_account_id = p_account AND credit_version = probed) entry;
    IF NOT FOUND THEN RAISE EXCEPTION 'account % has no entry %', p_account, probed USING ERRCODE = 'data_corrupted'; END IF;
    IF recorded_at < p_before THEN low := probed; ELSE high := probed - 1; END IF;
    probed := (low + high + 1) / 2;
  END LOOP;
  RETURN low;
END $$;
