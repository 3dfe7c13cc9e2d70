-- number: 2
-- migration: 8
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- What hosts of release 0.1.0 call to post a batch: `post_transfer_batch`, but all arrays are returned every time.
CREATE OR REPLACE FUNCTION post_transfers(
  p_owner text[], p_key text[], p_fingerprint bytea[], p_atomic boolean[],
  p_account uuid[],
  p_request int[], p_id uuid[], p_debit int[], p_credit int[], p_amount bigint[], p_reference text[], p_metadata jsonb[],
  OUT posted_at timestamptz, OUT states text[], OUT outcomes text[], OUT transfer_ids uuid[], OUT ledgers text[]
) LANGUAGE plpgsql AS $$
BEGIN
  SELECT p.posted_at, coalesce(p.states, array_fill('fresh'::text, ARRAY[cardinality(p_owner)])),
         coalesce(p.outcomes, array_fill('posted'::text, ARRAY[cardinality(p_id)])), coalesce(p.transfer_ids, p_id),
         CASE WHEN cardinality(p.ledgers) = 1 THEN array_fill(p.ledgers[1], ARRAY[cardinality(p_id)]) ELSE p.ledgers END
    INTO posted_at, states, outcomes, transfer_ids, ledgers
    FROM post_transfer_batch(p_owner, p_key, p_fingerprint, p_atomic, p_account, p_request, p_id, p_debit, p_credit,
                             p_amount, p_reference, p_metadata) p;
END $$;
