-- number: 1
-- migration: 21
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Finds the holds and transfers that movements refer to, and locks the holds, for `post_movements`, which has the lock of
-- posting. Each comes once, ordered by id, and is referred to by number. What does not exist has no amount: it may be made
-- by an item before the one that refers to it. The accounts of holds and transfers are added to those of the items.
CREATE OR REPLACE FUNCTION resolve_movements(
  p_kind text[], p_id uuid[], p_target uuid[], p_account uuid[], p_debit int[], p_credit int[],
  OUT accounts uuid[], OUT debits int[], OUT credits int[],
  -- By item: its hold, the transfer that it reverses, and the transfer that it becomes if another item reverses that.
  OUT i_hold int[], OUT i_reversed int[], OUT i_becomes int[],
  OUT h_id uuid[], OUT h_debit int[], OUT h_credit int[], OUT h_amount bigint[], OUT h_posted bigint[], OUT h_state text[],
  OUT h_reserves boolean[], OUT h_expires timestamptz[], OUT h_revision bigint[],
  OUT t_id uuid[], OUT t_debit int[], OUT t_credit int[], OUT t_amount bigint[], OUT t_reversed bigint[]
) LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
DECLARE
  h_debit_id uuid[]; h_credit_id uuid[]; t_debit_id uuid[]; t_credit_id uuid[];
BEGIN
  SELECT array_agg(id ORDER BY id) FILTER (WHERE kind <> 'reverse'), array_agg(id ORDER BY id) FILTER (WHERE kind = 'reverse')
    INTO h_id, t_id
    FROM (SELECT DISTINCT CASE kind WHEN 'void' THEN 'post' WHEN 'hold' THEN 'post' ELSE kind END AS kind,
                 CASE kind WHEN 'hold' THEN id ELSE target END AS id
            FROM unnest(p_kind, p_id, p_target) u(kind, id, target) WHERE kind <> 'transfer') wanted;

  SELECT array_agg(h.debit_account_id ORDER BY u.no), array_agg(h.credit_account_id ORDER BY u.no),
         array_agg(h.amount ORDER BY u.no), array_agg(h.posted ORDER BY u.no), array_agg(h.state ORDER BY u.no),
         array_agg(h.reserves_credit ORDER BY u.no), array_agg(h.expires_at ORDER BY u.no), array_agg(h.revision ORDER BY u.no)
    INTO h_debit_id, h_credit_id, h_amount, h_posted, h_state, h_reserves, h_expires, h_revision
    FROM unnest(h_id) WITH ORDINALITY u(id, no)
    LEFT JOIN (SELECT * FROM holds WHERE id = ANY (h_id) ORDER BY id FOR NO KEY UPDATE) h ON h.id = u.id;

  SELECT array_agg(t.debit_account_id ORDER BY u.no), array_agg(t.credit_account_id ORDER BY u.no),
         array_agg(t.amount ORDER BY u.no), array_agg(coalesce(r.reversed, 0) ORDER BY u.no)
    INTO t_debit_id, t_credit_id, t_amount, t_reversed
    FROM unnest(t_id) WITH ORDINALITY u(id, no)
    LEFT JOIN transfers t ON t.id = u.id
    LEFT JOIN (SELECT * FROM reversed_transfers WHERE transfer_id = ANY (t_id) ORDER BY transfer_id FOR NO KEY UPDATE) r
      ON r.transfer_id = u.id;

  SELECT coalesce(array_agg(id ORDER BY id), '{}') INTO accounts
    FROM (SELECT unnest(p_account) UNION SELECT unnest(h_debit_id) UNION SELECT unnest(h_credit_id)
          UNION SELECT unnest(t_debit_id) UNION SELECT unnest(t_credit_id)) every(id) WHERE id IS NOT NULL;

  -- In an ordered array without nulls, the bucket of an element is its number.
  SELECT array_agg(width_bucket(p_account[x.debit], accounts) ORDER BY no),
         array_agg(width_bucket(p_account[x.credit], accounts) ORDER BY no),
         array_agg(width_bucket(CASE kind WHEN 'hold' THEN id WHEN 'post' THEN target WHEN 'void' THEN target END, h_id) ORDER BY no),
         array_agg(width_bucket(CASE kind WHEN 'reverse' THEN target END, t_id) ORDER BY no),
         array_agg(CASE WHEN t_id[width_bucket(id, t_id)] = id THEN width_bucket(id, t_id) END ORDER BY no)
    INTO debits, credits, i_hold, i_reversed, i_becomes
    FROM unnest(p_kind, p_id, p_target, p_debit, p_credit) WITH ORDINALITY x(kind, id, target, debit, credit, no);
  h_debit := ARRAY(SELECT width_bucket(id, accounts) FROM unnest(h_debit_id) WITH ORDINALITY u(id, no) ORDER BY no);
  h_credit := ARRAY(SELECT width_bucket(id, accounts) FROM unnest(h_credit_id) WITH ORDINALITY u(id, no) ORDER BY no);
  t_debit := ARRAY(SELECT width_bucket(id, accounts) FROM unnest(t_debit_id) WITH ORDINALITY u(id, no) ORDER BY no);
  t_credit := ARRAY(SELECT width_bucket(id, accounts) FROM unnest(t_credit_id) WITH ORDINALITY u(id, no) ORDER BY no);
END $$;
