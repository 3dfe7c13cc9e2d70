-- number: 1
-- migration: 21
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Finds the transfers that items of `post_movements` have been posted as before, under their id or the one that the other
-- release derives. `same` is null for an item whose id does not exist, and false if the id is not available for it.
CREATE OR REPLACE FUNCTION find_posted(
  p_account uuid[], p_id uuid[], p_other_id uuid[], p_debit int[], p_credit int[], p_amount bigint[], p_reference text[],
  p_metadata jsonb[], p_effective_at timestamptz[], p_kind text[], p_target uuid[], p_has_other_ids boolean,
  OUT same boolean[], OUT ids uuid[]
) LANGUAGE sql STABLE SET enable_seqscan = off SET jit = off AS $$
  -- Whatever the id belongs to, and whether it exists: the caller gets the same outcome.
  SELECT array_agg(CASE
           WHEN o.id IS NOT NULL THEN true
           WHEN t.id IS NOT NULL THEN
             (t.reference, t.metadata, t.effective_at, t.hold_id, t.reverses_id)
               IS NOT DISTINCT FROM (x.reference, x.metadata, x.effective_at, x.hold_id, x.reverses_id)
             -- A post or reversal names neither accounts nor, if it is of all that is left, the amount.
             AND CASE WHEN x.hold_id IS NULL AND x.reverses_id IS NULL THEN
               (t.debit_account_id, t.credit_account_id, t.amount) = (x.debit_id, x.credit_id, x.amount)
               ELSE t.amount = coalesce(x.amount, t.amount) END
           WHEN x.other IS NULL AND x.id::text ~ '^.{14}8.{4}[89ab]' THEN false END ORDER BY x.no),
         array_agg(coalesce(o.id, x.id) ORDER BY x.no)
    FROM (SELECT *, p_account[debit] AS debit_id, p_account[credit] AS credit_id,
                 CASE kind WHEN 'post' THEN target END AS hold_id, CASE kind WHEN 'reverse' THEN target END AS reverses_id
            FROM unnest(p_id, p_other_id, p_debit, p_credit, p_amount, p_reference, p_metadata, p_effective_at, p_kind, p_target)
              WITH ORDINALITY u(id, other, debit, credit, amount, reference, metadata, effective_at, kind, target, no)) x
    LEFT JOIN transfers t ON t.id = x.id
    LEFT JOIN transfers o ON o.id = x.other AND p_has_other_ids AND o.hold_id IS NULL AND o.reverses_id IS NULL
     AND (o.debit_account_id, o.credit_account_id, o.amount, o.reference, o.metadata, o.effective_at)
       IS NOT DISTINCT FROM (x.debit_id, x.credit_id, x.amount, x.reference, x.metadata, x.effective_at)
$$;
