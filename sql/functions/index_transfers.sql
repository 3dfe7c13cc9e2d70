-- number: 1
-- migration: 25
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Writes the terms of transfers, for who has their accounts now, to `transfer_terms` or another table like it. What is there
-- stays, so it can be repeated. To rebuild them online, fill another table with `fill_transfer_terms` from its start, take
-- the lock of `index_next`, index the events since the fill began, and swap the names of both tables.
CREATE OR REPLACE FUNCTION index_transfers(p_table regclass, p_ids uuid[]) RETURNS void LANGUAGE plpgsql
-- Each step is an index probe. A plan that was made while the tables were small would scan them when they are large.
SET enable_seqscan = off SET jit = off AS $$
BEGIN
  -- In the order of the index, whose pages are then each visited once.
  EXECUTE format($statement$
    INSERT INTO %s (term, created_at, id)
    SELECT terms.term, t.created_at, t.id
      FROM unnest($1) wanted(id)
     CROSS JOIN (SELECT seed FROM search_progress) p
     CROSS JOIN LATERAL (SELECT * FROM transfers WHERE id = wanted.id LIMIT 1) t
     CROSS JOIN LATERAL (SELECT owner FROM accounts WHERE id = t.debit_account_id LIMIT 1) d
     CROSS JOIN LATERAL (SELECT owner FROM accounts WHERE id = t.credit_account_id LIMIT 1) c
     CROSS JOIN LATERAL (
       SELECT d.owner, true AS is_payer UNION ALL SELECT c.owner, false WHERE c.owner <> d.owner
     ) side
     CROSS JOIN LATERAL transfer_terms_of(p.seed, side.owner, side.is_payer, t.debit_account_id, t.credit_account_id,
       t.reference, t.metadata) terms(term)
     ORDER BY 1, 2, 3
    ON CONFLICT DO NOTHING$statement$, p_table) USING p_ids;
END $$;
