-- number: 3
-- migration: 21
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- What hosts of the release before call to post a batch. It finds out which ids they derived, without the secret, and
-- posts with `post_movements`, so that both releases find each other's transfers.
CREATE OR REPLACE FUNCTION post_transfer_batch(
  p_owner text[], p_key text[], p_fingerprint bytea[], p_atomic boolean[],
  p_account uuid[],
  p_request int[], p_id uuid[], p_debit int[], p_credit int[], p_amount bigint[], p_reference text[], p_metadata jsonb[],
  OUT posted_at timestamptz, OUT states text[], OUT outcomes text[], OUT transfer_ids uuid[], OUT ledgers text[]
) LANGUAGE plpgsql AS $$
DECLARE
  other_ids uuid[];
BEGIN
  SELECT array_agg(CASE WHEN u.id = former_transfer_id(p_owner[u.request], p_key[u.request], u.index)
                     THEN derive_transfer_id(s.secret, u.id) END ORDER BY u.no)
    INTO other_ids
    FROM (SELECT id, request, no, row_number() OVER (PARTITION BY request ORDER BY no) - 1 AS index
            FROM unnest(p_id, p_request) WITH ORDINALITY x(id, request, no)) u
    CROSS JOIN transfer_id_secret s;
  -- Before it posts: from now on, both ids are looked for.
  UPDATE transfer_id_secret SET has_former_ids = true WHERE NOT has_former_ids;
  SELECT p.posted_at, p.states, p.outcomes, p.transfer_ids, p.ledgers
    INTO posted_at, states, outcomes, transfer_ids, ledgers
    FROM post_movements(p_owner, p_key, p_fingerprint, p_atomic, p_account, p_request, p_id, other_ids, p_debit, p_credit,
                     p_amount, p_reference, p_metadata) p;
END $$;
