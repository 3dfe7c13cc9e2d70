-- number: 1
-- migration: 26
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Stores the entries of a batch of `post_movements` that have a time of effect of their own. Batches come one after the
-- other, so the sums cannot be changed by another one at the same time.
CREATE OR REPLACE FUNCTION store_effective_times(
  p_account uuid[], p_outcome text[], p_debit int[], p_credit int[], p_amount bigint[], p_effective_at timestamptz[],
  p_debit_version bigint[], p_credit_version bigint[]
) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off AS $$
BEGIN
  WITH sides AS MATERIALIZED (
    SELECT s.account, s.version, s.net, date_trunc('milliseconds', x.effective_at) AS effective_at,
           floor(extract(epoch FROM x.effective_at) * 1000)::bigint AS ms
      FROM unnest(p_outcome, p_debit, p_credit, p_amount, p_effective_at, p_debit_version, p_credit_version)
        x(outcome, debit, credit, amount, effective_at, debit_version, credit_version)
     CROSS JOIN LATERAL (VALUES (p_account[x.debit], x.debit_version, -x.amount), (p_account[x.credit], x.credit_version, x.amount))
        s(account, version, net)
     WHERE x.outcome = 'posted' AND x.debit_version IS NOT NULL AND x.effective_at IS NOT NULL
  ), stored AS (
    INSERT INTO effective_entries (account_id, version, effective_at, net, net_so_far)
    SELECT account, version, effective_at, net, sum(net) OVER (PARTITION BY account ORDER BY version) + coalesce((
             SELECT e.net_so_far FROM effective_entries e WHERE e.account_id = account ORDER BY e.version DESC LIMIT 1), 0)
      FROM sides ORDER BY account, version
  )
  INSERT INTO effective_sums AS s (account_id, level, bucket, net)
    SELECT account, l.level, ms >> l.level, sum(net) FROM sides CROSS JOIN unnest(ARRAY[0, 9, 18, 27, 36]) l(level)
     GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (account_id, level, bucket) DO UPDATE SET net = s.net + excluded.net;
END $$;
