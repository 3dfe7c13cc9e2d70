-- number: 1
-- migration: 28
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Posts a batch like `post_movements`, in which some pairs of transfers are exchanges, and records these. Arguments and
-- results are those of `post_movements`. The requests that exchange are atomic, so both transfers are posted, or neither.
CREATE OR REPLACE FUNCTION post_with_exchanges(
  p_owner text[], p_key text[], p_fingerprint bytea[], p_atomic boolean[],
  p_account uuid[],
  p_request int[], p_id uuid[], p_other_id uuid[],
  p_debit int[], p_credit int[], p_amount bigint[], p_reference text[], p_metadata jsonb[],
  -- By exchange: the number of the item that pays the source, before that which pays the target, and what was agreed on.
  p_exchange_item int[], p_exchange_id uuid[], p_rate numeric[], p_rounding text[], p_fixed_side text[],
  p_effective_at timestamptz[] DEFAULT NULL,
  p_kind text[] DEFAULT NULL, p_target uuid[] DEFAULT NULL,
  p_seconds int[] DEFAULT NULL, p_keeps_rest boolean[] DEFAULT NULL, p_forces boolean[] DEFAULT NULL,
  OUT posted_at timestamptz, OUT waited_ms float8, OUT states text[], OUT outcomes text[], OUT transfer_ids uuid[],
  OUT ledgers text[], OUT debit_ids uuid[], OUT credit_ids uuid[], OUT amounts bigint[]
) LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off AS $$
DECLARE
  refused record;
BEGIN
  -- What only an exchange is refused for, as arguments that `post_movements` refuses, so that the outcome is stored under the
  -- key. Owners may change until it has the locks, but ledgers never do.
  FOR refused IN
    SELECT x.item, s.isolates_owners AND l.owner <> r.owner AS is_of_others,
           payer.ledger = t.ledger AND (NOT s.isolates_owners OR (payer.owner = r.owner AND t.owner = r.owner)) AS is_one_ledger
      FROM unnest(p_exchange_item) x(item)
      CROSS JOIN transfer_id_secret s
      CROSS JOIN LATERAL (SELECT p_owner[p_request[x.item]] AS owner) r
      LEFT JOIN accounts payer ON payer.id = p_account[p_debit[x.item]]
      LEFT JOIN accounts l ON l.id = p_account[p_credit[x.item]]
      LEFT JOIN accounts t ON t.id = p_account[p_debit[x.item + 1]]
  LOOP
    -- Without an account it is `unknown_account`, like an account of others that could not be paid.
    IF refused.is_of_others THEN p_credit[refused.item] := NULL; END IF;
    -- No exchange is from an account to itself otherwise: `same_account` means one ledger.
    IF refused.is_one_ledger THEN p_credit[refused.item + 1] := p_debit[refused.item + 1]; END IF;
  END LOOP;

  SELECT p.posted_at, p.waited_ms, p.states, p.outcomes, p.transfer_ids, p.ledgers, p.debit_ids, p.credit_ids, p.amounts
    INTO posted_at, waited_ms, states, outcomes, transfer_ids, ledgers, debit_ids, credit_ids, amounts
    FROM post_movements(p_owner, p_key, p_fingerprint, p_atomic, p_account, p_request, p_id, p_other_id, p_debit, p_credit,
      p_amount, p_reference, p_metadata, p_effective_at, p_kind, p_target, p_seconds, p_keeps_rest, p_forces) p;

  WITH made AS (
    INSERT INTO exchanges (id, source_transfer_id, target_transfer_id, debit_account_id, source_liquidity_account_id,
                           target_liquidity_account_id, credit_account_id, source_ledger, target_ledger, source_amount,
                           target_amount, rate, rounding, fixed_side, created_at)
      SELECT x.id, s.id, t.id, s.debit_account_id, s.credit_account_id, t.debit_account_id, t.credit_account_id, s.ledger,
             t.ledger, s.amount, t.amount, x.rate, x.rounding, x.fixed_side, post_with_exchanges.posted_at
        FROM unnest(p_exchange_item, p_exchange_id, p_rate, p_rounding, p_fixed_side) x(item, id, rate, rounding, fixed_side)
        JOIN transfers s ON s.id = p_id[x.item]
        JOIN transfers t ON t.id = p_id[x.item + 1]
       WHERE (states IS NULL OR states[p_request[x.item]] = 'fresh') AND (outcomes IS NULL OR outcomes[x.item] = 'posted')
      RETURNING *
  ), owned AS (
    SELECT m.*, payer.owner, s.reference, s.metadata
      FROM made m JOIN accounts payer ON payer.id = m.debit_account_id JOIN transfers s ON s.id = m.source_transfer_id
  ), listed AS (
    INSERT INTO account_exchanges (account_id, created_at, exchange_id)
      SELECT a.id, o.created_at, o.id FROM owned o
       CROSS JOIN unnest(ARRAY[o.debit_account_id, o.source_liquidity_account_id, o.target_liquidity_account_id,
                               o.credit_account_id]) u(id)
        JOIN accounts a ON a.id = u.id AND a.owner = o.owner
  )
  INSERT INTO outbox (owner, type, key, sequence, occurred_at, data)
    SELECT o.owner, 'exchange.posted.v1', o.id, 1, o.created_at, jsonb_build_object(
      'exchangeId', o.id, 'sourceTransferId', o.source_transfer_id, 'targetTransferId', o.target_transfer_id,
      'debitAccountId', o.debit_account_id, 'sourceLiquidityAccountId', o.source_liquidity_account_id,
      'targetLiquidityAccountId', o.target_liquidity_account_id, 'creditAccountId', o.credit_account_id,
      'sourceLedger', o.source_ledger, 'targetLedger', o.target_ledger, 'sourceAmount', o.source_amount,
      'targetAmount', o.target_amount, 'rate', trim_scale(o.rate)::text, 'rounding', o.rounding, 'fixedSide', o.fixed_side,
      'remainder', trim_scale(o.remainder)::text, 'reference', o.reference, 'metadata', o.metadata)
      FROM owned o ORDER BY o.id;
END $$;
