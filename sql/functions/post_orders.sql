-- number: 5
-- migration: 21
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- What hosts of the release before call to post a batch of transfers: `post_movements` without other kinds.
CREATE OR REPLACE FUNCTION post_orders(
  p_owner text[], p_key text[], p_fingerprint bytea[], p_atomic boolean[],
  p_account uuid[],
  p_request int[], p_id uuid[], p_other_id uuid[],
  p_debit int[], p_credit int[], p_amount bigint[], p_reference text[], p_metadata jsonb[],
  OUT posted_at timestamptz, OUT states text[], OUT outcomes text[], OUT transfer_ids uuid[], OUT ledgers text[]
) LANGUAGE sql AS $$
  SELECT p.posted_at, p.states, p.outcomes, p.transfer_ids, p.ledgers
    FROM post_movements(p_owner, p_key, p_fingerprint, p_atomic, p_account, p_request, p_id, p_other_id, p_debit, p_credit,
                        p_amount, p_reference, p_metadata) p
$$;
