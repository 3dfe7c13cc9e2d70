-- number: 2
-- migration: 26
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Writes what `post_movements` has decided, but for balances and keys: transfers, holds, reversals, and their events.
CREATE OR REPLACE FUNCTION store_movements(
  p_posted_at timestamptz, p_account uuid[], p_account_owner text[],
  -- By item. What moves no money has no version.
  p_outcome text[], p_id uuid[], p_debit int[], p_credit int[], p_ledger text[], p_amount bigint[], p_reference text[], p_metadata jsonb[],
  p_effective_at timestamptz[], p_debit_version bigint[], p_credit_version bigint[], p_debit_balance bigint[], p_credit_balance bigint[],
  -- By item, and like all that follow null if there are only transfers: what it released, and its hold after it.
  p_kind text[], p_target uuid[], p_released bigint[], p_hold int[], p_held_posted bigint[], p_held_left bigint[], p_revision bigint[],
  -- By hold, as it is in the end. `p_hold_item`: the item that made it.
  p_hold_id uuid[], p_hold_item int[], p_hold_amount bigint[], p_hold_posted bigint[], p_hold_state text[], p_hold_reserves boolean[],
  p_hold_expires timestamptz[], p_hold_revision bigint[],
  -- By reversed transfer: what of it is reversed now, and was before.
  p_transfer_id uuid[], p_transfer_amount bigint[], p_reversed bigint[], p_reversed_before bigint[]
) RETURNS void LANGUAGE plpgsql
-- For hundreds of items the planner prefers scanning whole tables, which grow with each batch, to probing indexes.
SET enable_seqscan = off SET jit = off AS $$
BEGIN
  INSERT INTO transfers (id, debit_account_id, debit_version, debit_balance, credit_account_id, credit_version, credit_balance, ledger,
                         amount, reference, metadata, created_at, effective_at, hold_id, reverses_id)
    SELECT x.id, p_account[x.debit], x.debit_version, x.debit_balance, p_account[x.credit], x.credit_version, x.credit_balance, x.ledger,
           x.amount, x.reference, x.metadata, p_posted_at, x.effective_at,
           CASE x.kind WHEN 'post' THEN x.target END, CASE x.kind WHEN 'reverse' THEN x.target END
      FROM unnest(p_id, p_debit, p_debit_version, p_debit_balance, p_credit, p_credit_version, p_credit_balance, p_ledger, p_amount,
                  p_reference, p_metadata, p_outcome, p_effective_at, p_kind, p_target)
        x(id, debit, debit_version, debit_balance, credit, credit_version, credit_balance, ledger, amount, reference, metadata,
          outcome, effective_at, kind, target)
     WHERE x.outcome = 'posted' AND x.debit_version IS NOT NULL ORDER BY x.id;

  IF p_effective_at IS NOT NULL THEN
    PERFORM store_effective_times(p_account, p_outcome, p_debit, p_credit, p_amount, p_effective_at, p_debit_version, p_credit_version);
  END IF;

  -- In version order, so that the rows of an account are numbered like its transfers.
  INSERT INTO outbox (transfer_id, debit_account_id, debit_version, debit_owner, credit_account_id, credit_version,
                      credit_owner, posted_at)
    SELECT x.id, p_account[x.debit], x.debit_version, p_account_owner[x.debit], p_account[x.credit], x.credit_version,
           p_account_owner[x.credit], p_posted_at
      FROM unnest(p_id, p_debit, p_debit_version, p_credit, p_credit_version, p_outcome) WITH ORDINALITY
        x(id, debit, debit_version, credit, credit_version, outcome, no)
     WHERE x.outcome = 'posted' AND x.debit_version IS NOT NULL ORDER BY x.no;
  IF p_kind IS NULL THEN RETURN; END IF;

  INSERT INTO holds (id, debit_account_id, credit_account_id, ledger, amount, reference, metadata, reserves_credit, created_at,
                     expires_at, posted, state, settled_at, revision)
    SELECT l.id, p_account[p_debit[l.item]], p_account[p_credit[l.item]], p_ledger[l.item], l.amount, p_reference[l.item],
           p_metadata[l.item], l.reserves, p_posted_at, l.expires, l.posted, l.state, CASE WHEN l.state <> 'pending' THEN p_posted_at END, l.revision
      FROM unnest(p_hold_id, p_hold_item, p_hold_amount, p_hold_posted, p_hold_state, p_hold_reserves, p_hold_expires, p_hold_revision)
        l(id, item, amount, posted, state, reserves, expires, revision)
     WHERE l.item IS NOT NULL;

  UPDATE holds x
     SET posted = l.posted, state = l.state, settled_at = CASE WHEN l.state <> 'pending' THEN p_posted_at END, revision = l.revision
    FROM unnest(p_hold_id, p_hold_item, p_hold_posted, p_hold_state, p_hold_revision) l(id, item, posted, state, revision)
   WHERE x.id = l.id AND l.item IS NULL AND x.revision <> l.revision;

  INSERT INTO reversals (reversal_id, transfer_id, amount, created_at)
    SELECT x.id, x.target, x.amount, p_posted_at
      FROM unnest(p_outcome, p_kind, p_id, p_target, p_amount) x(outcome, kind, id, target, amount)
     WHERE x.outcome = 'posted' AND x.kind = 'reverse';

  INSERT INTO reversed_transfers AS r (transfer_id, amount, reversed)
    SELECT l.id, l.amount, l.reversed
      FROM unnest(p_transfer_id, p_transfer_amount, p_reversed, p_reversed_before) l(id, amount, reversed, before)
     WHERE l.reversed > coalesce(l.before, 0)
    ON CONFLICT (transfer_id) DO UPDATE SET reversed = excluded.reversed;

  -- The events of a hold, in their order, go to whose account it debits.
  INSERT INTO outbox (owner, type, key, sequence, occurred_at, data)
    SELECT p_account_owner[x.debit], CASE x.kind WHEN 'hold' THEN 'hold.created.v1' WHEN 'post' THEN 'hold.posted.v1' ELSE 'hold.voided.v1' END,
           p_hold_id[x.hold], x.revision, p_posted_at,
           jsonb_build_object('holdId', p_hold_id[x.hold], 'debitAccountId', p_account[x.debit], 'creditAccountId', p_account[x.credit],
             'ledger', x.ledger, 'amount', p_hold_amount[x.hold], 'posted', x.held_posted, 'remaining', x.held_left)
           || CASE x.kind
             WHEN 'hold' THEN jsonb_build_object('reference', x.reference, 'metadata', x.metadata,
               'expiresAt', to_char(p_hold_expires[x.hold] AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
             WHEN 'post' THEN jsonb_build_object('transferId', x.id, 'transferAmount', x.amount, 'released', x.released - x.amount)
             ELSE jsonb_build_object('released', x.released) END
      FROM unnest(p_outcome, p_kind, p_id, p_debit, p_credit, p_ledger, p_amount, p_reference, p_metadata, p_released, p_hold, p_held_posted,
                  p_held_left, p_revision) WITH ORDINALITY
        x(outcome, kind, id, debit, credit, ledger, amount, reference, metadata, released, hold, held_posted, held_left, revision, no)
     WHERE x.outcome = 'posted' AND x.kind IN ('hold', 'post', 'void') ORDER BY x.no;
END $$;
