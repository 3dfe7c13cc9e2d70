-- number: 2
-- migration: 24
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Posts a batch of requests and returns the outcome of each item. Refusals are outcomes, never exceptions. Money moves
-- nowhere else; `expire_holds` only releases what was never posted.
-- The items of a request are adjacent, and no key comes twice. Each account comes once, ordered by id, and items refer to
-- it by number: that saves two joins per batch, whose plans are bad when the planner has to guess.
CREATE OR REPLACE FUNCTION post_movements(
  p_owner text[], p_key text[], p_fingerprint bytea[], p_atomic boolean[],
  p_account uuid[],
  p_request int[], p_id uuid[],
  -- By item, the id that the other release derives, with or without the secret: if an equal transfer has it, the item
  -- exists. Null for an id that the caller chose, which may not be one of those that are derived (UUIDv8).
  p_other_id uuid[],
  p_debit int[], p_credit int[], p_amount bigint[], p_reference text[], p_metadata jsonb[],
  -- By item, when it takes effect. Null if it is unknown for all.
  p_effective_at timestamptz[] DEFAULT NULL,
  -- By item: transfer, hold, post, void, or reverse. Null, like all that follow, if all are transfers. Of posts, voids,
  -- and reversals the accounts are null. Without an amount, a post or reversal is of all that is left.
  p_kind text[] DEFAULT NULL,
  -- By item, the hold that is posted or voided, or the transfer that is reversed.
  p_target uuid[] DEFAULT NULL,
  p_seconds int[] DEFAULT NULL, p_keeps_rest boolean[] DEFAULT NULL, p_forces boolean[] DEFAULT NULL,
  OUT posted_at timestamptz, OUT waited_ms float8,
  -- By request: fresh, replayed, or reused (the key belongs to another request). Null if all are fresh.
  OUT states text[],
  -- By item: posted (done), exists, rolled_back, or the code of a refusal. Null if all are posted.
  OUT outcomes text[],
  -- By item, its transfer, or its hold. Null if each item has the id of `p_id`.
  OUT transfer_ids uuid[],
  -- By item, or one element if all are the same.
  OUT ledgers text[],
  -- By item, if there are kinds.
  OUT debit_ids uuid[], OUT credit_ids uuid[], OUT amounts bigint[]
) LANGUAGE plpgsql
-- For hundreds of items the planner prefers scanning whole tables, which grow with each batch, to probing indexes.
SET enable_seqscan = off SET jit = off AS $$
DECLARE
  -- What others can pay an account leaves half of it to its own organization.
  own_part CONSTANT bigint := 4503599627370496; clamp CONSTANT bigint := 1::bigint << 60;
  n int := cardinality(p_id); has_kinds boolean := p_kind IS NOT NULL;
  -- By account: as from `lock_accounts`, and changes of what is pending.
  a_owner text[]; a_accepts jsonb[]; a_up_to bigint[]; a_ledger text[]; a_debits bigint[]; a_credits bigint[]; a_version bigint[];
  a_floor bigint[]; a_ceiling bigint[]; a_debits_max bigint[]; a_credits_max bigint[];
  a_no_debit text[]; a_no_credit text[]; has_stops boolean; a_held_debits bigint[]; a_held_credits bigint[]; a_forced boolean[];
  -- By item: whether its id exists with the same content, and the new versions and balances of its accounts.
  i_same boolean[]; i_debit_version bigint[]; i_credit_version bigint[]; i_debit_balance bigint[]; i_credit_balance bigint[];
  -- By item, if there are kinds: as from `resolve_movements`, what it released (below 0: reserved), and its hold after it.
  i_hold int[]; i_reversed int[]; i_becomes int[]; i_released bigint[]; i_held_posted bigint[]; i_held_left bigint[]; i_revision bigint[];
  h_id uuid[]; h_debit int[]; h_credit int[]; h_amount bigint[]; h_posted bigint[]; h_state text[]; h_reserves boolean[]; h_expires timestamptz[];
  h_revision bigint[]; h_item int[]; t_id uuid[]; t_debit int[]; t_credit int[]; t_amount bigint[]; t_reversed bigint[]; t_before bigint[];
  -- If an id comes twice: by item, the first item with its id, and by that item, the one that was posted.
  i_first int[]; posted_by int[];
  stored_outcomes jsonb; has_duplicates boolean; has_other_ids boolean; isolates boolean; is_searched boolean := false; j int;
  kind text := 'transfer'; moves boolean := true; is_new boolean := true; is_reserved boolean := false; is_forced boolean := false;
  is_full boolean; exceeded int; changes bigint[]; h int; t int; remaining bigint; released bigint; payer text; is_own boolean; d int; c int; amount bigint; outcome text;
  -- `group_full`: whether a limit of an account of others would be exceeded.
  group_first int := 1; group_refused boolean := false; group_full boolean := false;
  -- The limits across accounts, and what is used of them. Null if there are none.
  lim limit_set; l_most bigint[]; used bigint[]; l_rules int[]; l_a_from int[]; l_a_limit int[]; l_h_from int[]; l_h_limit int[]; l_h_current int[];
BEGIN
  -- One batch at a time in the whole database: two at once are slower (measured), and this way they cannot deadlock. The
  -- row locks below protect the balances against everything else.
  PERFORM pg_advisory_xact_lock(5703951129318914);
  SELECT clock_timestamp(), has_former_ids, isolates_owners INTO posted_at, has_other_ids, isolates FROM transfer_id_secret;
  waited_ms := extract(epoch FROM posted_at - statement_timestamp()) * 1000;

  SELECT array_agg(CASE WHEN k.owner IS NULL THEN 'fresh' WHEN k.fingerprint = r.fingerprint THEN 'replayed' ELSE 'reused' END ORDER BY r.no),
         jsonb_object_agg(r.no, jsonb_build_object('outcomes', k.outcomes, 'ids', k.transfer_ids)) FILTER (WHERE k.owner IS NOT NULL)
    INTO states, stored_outcomes
    FROM unnest(p_owner, p_key, p_fingerprint) WITH ORDINALITY r(owner, key, fingerprint, no)
    LEFT JOIN idempotency_keys k ON k.owner = r.owner AND k.key = r.key;

  IF has_kinds THEN
    SELECT r.accounts, r.debits, r.credits, r.i_hold, r.i_reversed, r.i_becomes, r.h_id, r.h_debit, r.h_credit, r.h_amount, r.h_posted,
           r.h_state, r.h_reserves, r.h_expires, r.h_revision, r.t_id, r.t_debit, r.t_credit, r.t_amount, r.t_reversed, r.t_reversed
      INTO p_account, p_debit, p_credit, i_hold, i_reversed, i_becomes, h_id, h_debit, h_credit, h_amount, h_posted,
           h_state, h_reserves, h_expires, h_revision, t_id, t_debit, t_credit, t_amount, t_reversed, t_before
      FROM resolve_movements(p_kind, p_id, p_target, p_account, p_debit, p_credit) r;
    a_held_debits := array_fill(0::bigint, ARRAY[cardinality(p_account)]); a_held_credits := a_held_debits; a_forced := array_fill(false, ARRAY[cardinality(p_account)]);
    i_released := array_fill(NULL::bigint, ARRAY[n]); i_held_posted := i_released; i_held_left := i_released; i_revision := i_released;
    h_item := array_fill(NULL::int, ARRAY[coalesce(cardinality(h_id), 0)]);
  END IF;

  SELECT l.owners, l.accepts, l.up_tos, l.ledgers, l.debits, l.credits, l.versions, l.floors, l.ceilings, l.debits_max, l.credits_max, l.no_debit,
         l.no_credit, l.has_stops, greatest(posted_at, l.last_at)
    INTO a_owner, a_accepts, a_up_to, a_ledger, a_debits, a_credits, a_version, a_floor, a_ceiling, a_debits_max, a_credits_max, a_no_debit,
         a_no_credit, has_stops, posted_at
    FROM lock_accounts(p_account) l;
  lim := lock_limits(p_account, a_owner, a_ledger, h_id, posted_at); used := lim.used; l_most := lim.most; l_rules := lim.rules;
  l_a_from := lim.a_from; l_a_limit := lim.a_limit; l_h_from := lim.h_from; l_h_limit := lim.h_limit; l_h_current := lim.h_current;

  i_same := array_fill(NULL::boolean, ARRAY[n]); transfer_ids := p_id;
  IF EXISTS (SELECT FROM transfers WHERE id = ANY (CASE WHEN has_other_ids THEN p_id || p_other_id ELSE p_id END))
     OR (array_position(p_other_id, NULL) IS NOT NULL AND EXISTS (
       SELECT FROM unnest(p_id, p_other_id) u(id, other) WHERE other IS NULL AND id::text ~ '^.{14}8.{4}[89ab]')) THEN
    SELECT f.same, f.ids INTO i_same, transfer_ids
      FROM find_posted(p_account, p_id, p_other_id, p_debit, p_credit, p_amount, p_reference, p_metadata, p_effective_at, p_kind,
                       p_target, has_other_ids) f;
    is_searched := true;
  END IF;
  SELECT count(DISTINCT id) < n INTO has_duplicates FROM unnest(p_id) id;
  IF has_duplicates THEN
    SELECT array_agg(w.first ORDER BY w.no) INTO i_first FROM (SELECT no, min(no) OVER (PARTITION BY id) AS first FROM unnest(p_id) WITH ORDINALITY u(id, no)) w; posted_by := array_fill(NULL::int, ARRAY[n]);
  END IF;

  outcomes := array_fill(NULL::text, ARRAY[n]); ledgers := outcomes; i_debit_version := array_fill(NULL::bigint, ARRAY[n]);
  i_credit_version := i_debit_version; i_debit_balance := i_debit_version; i_credit_balance := i_debit_version;

  FOR i IN 1..n LOOP
    IF states[p_request[i]] = 'fresh' THEN
      d := p_debit[i]; c := p_credit[i]; amount := p_amount[i]; payer := p_owner[p_request[i]]; is_full := false;
      IF has_duplicates AND i_same[i] IS NULL AND posted_by[i_first[i]] IS NOT NULL THEN
        -- An id may come twice in one batch. The item that was posted counts as existing.
        j := posted_by[i_first[i]];
        i_same[i] := p_debit[j] = d AND p_credit[j] = c AND p_amount[j] = amount
          AND p_reference[j] IS NOT DISTINCT FROM p_reference[i] AND p_metadata[j] = p_metadata[i]
          AND p_effective_at[j] IS NOT DISTINCT FROM p_effective_at[i]
          AND (NOT has_kinds OR (p_kind[i] = 'transfer' AND p_kind[j] = 'transfer'));
      END IF;
      outcome := NULL;
      IF has_kinds THEN
        kind := p_kind[i]; h := i_hold[i]; t := i_reversed[i];
        is_new := kind IN ('transfer', 'hold'); is_reserved := kind IN ('post', 'void');
        moves := kind NOT IN ('hold', 'void'); is_forced := kind = 'reverse' AND p_forces[i];
        IF kind = 'hold' AND h_state[h] IS NOT NULL THEN
          -- The record of its key has expired.
          SELECT CASE WHEN (x.debit_account_id, x.credit_account_id, x.amount, x.reference, x.metadata, x.expires_at - x.created_at)
              IS NOT DISTINCT FROM (p_account[d], p_account[c], p_amount[i], p_reference[i], p_metadata[i], make_interval(secs => p_seconds[i]))
              THEN 'exists' ELSE 'idempotency_key_reused' END
            INTO outcome FROM holds x WHERE x.id = p_id[i];
        ELSIF NOT is_new THEN
          IF is_reserved THEN d := h_debit[h]; c := h_credit[h]; remaining := h_amount[h] - h_posted[h];
          ELSE d := t_credit[t]; c := t_debit[t]; remaining := t_amount[t] - t_reversed[t]; END IF;
          IF kind = 'void' THEN transfer_ids[i] := p_target[i]; amount := remaining; ELSE amount := coalesce(amount, remaining); END IF;
          outcome := CASE
            WHEN d IS NULL OR (isolates AND payer NOT IN (a_owner[d], a_owner[c]))
              THEN CASE kind WHEN 'reverse' THEN 'transfer_not_found' ELSE 'hold_not_found' END
            WHEN isolates AND a_owner[d] <> payer THEN 'unknown_account'
            WHEN i_same[i] IS NOT NULL THEN NULL
            WHEN kind = 'reverse' AND remaining = 0 THEN 'already_reversed'
            WHEN kind = 'reverse' AND amount > remaining THEN 'reversal_exceeds_transfer'
            WHEN kind = 'reverse' THEN NULL
            WHEN h_state[h] = 'expired' OR (h_state[h] = 'pending' AND posted_at >= h_expires[h]) THEN 'hold_expired'
            WHEN h_state[h] <> 'pending' THEN 'hold_settled'
            WHEN amount > remaining THEN 'hold_amount_exceeded' END;
        END IF;
      END IF;
      is_own := NOT isolates OR a_owner[c] = payer;
      IF outcome IS NULL THEN
        outcome := CASE
          -- Before anything else, so that nothing about accounts and transfers of others shows.
          WHEN isolates AND d <> c AND a_owner[d] IS DISTINCT FROM payer THEN 'unknown_account'
          WHEN i_same[i] THEN 'exists'
          WHEN NOT i_same[i] THEN 'transfer_id_taken'
          WHEN d = c THEN 'same_account'
          WHEN a_ledger[d] IS NULL OR a_ledger[c] IS NULL THEN 'unknown_account'
          -- Whatever the reason is, it is the state of an account of others.
          WHEN NOT is_own AND is_new AND NOT coalesce(accepts_payer(a_accepts[c], a_owner[c], payer) AND amount <= a_up_to[c]
                                                AND a_ledger[c] = a_ledger[d], false)
            THEN 'unknown_account'
          WHEN a_ledger[d] <> a_ledger[c] THEN 'different_ledgers'
          WHEN has_stops AND kind <> 'void' AND a_no_debit[d] IS NOT NULL THEN a_no_debit[d]
          WHEN has_stops AND kind <> 'void' AND a_no_credit[c] IS NOT NULL THEN CASE WHEN is_own THEN a_no_credit[c] ELSE 'unknown_account' END
          WHEN is_reserved AND (kind = 'void' OR h_reserves[h]) THEN 'posted'
          WHEN a_credits[d] - a_debits[d] - amount < a_floor[d] AND NOT is_forced AND NOT is_reserved THEN 'insufficient_funds'
          WHEN (a_debits[d] > a_debits_max[d] - amount AND NOT is_reserved) OR (is_own AND a_credits[c] > a_credits_max[c] - amount) THEN 'balance_overflow'
          WHEN is_own AND a_credits[c] - a_debits[c] > a_ceiling[c] - amount THEN 'balance_limit_exceeded'
          -- Last, so that only who pays the amount otherwise learns that it is not too large for the account of others. Who
          -- holds it does not pay, and could void it.
          WHEN NOT is_own AND moves AND NOT p_atomic[p_request[i]]
            AND (a_credits[c] > a_credits_max[c] - own_part - amount OR a_credits[c] - a_debits[c] > a_ceiling[c] - amount) THEN 'unknown_account'
          ELSE 'posted' END;
        IF used IS NOT NULL AND outcome = 'posted' THEN
          SELECT u.outcome, u.is_full, u.exceeded, u.changes INTO outcome, is_full, exceeded, changes
            FROM use_limits(l_most, used, l_rules, l_a_from, l_a_limit, l_h_from, l_h_limit, l_h_current, 1, kind, d, c, amount, remaining, p_keeps_rest[i],
              h, h_item[h] IS NULL, CASE kind WHEN 'hold' THEN is_own ELSE h_reserves[h] END, h_posted[h], is_own, p_atomic[p_request[i]]) u;
          IF exceeded > 0 THEN outcome := exceeded_limit(lim.ids[exceeded], lim.hours[exceeded], lim.days[exceeded], l_most, used, exceeded, amount); END IF;
          FOR x IN 1..cardinality(changes) / 2 LOOP used[changes[x * 2 - 1]] := least(used[changes[x * 2 - 1]] + changes[x * 2], clamp); END LOOP;
        END IF;
        IF is_searched AND outcome = 'unknown_account' THEN transfer_ids[i] := p_id[i]; END IF;
      END IF;
      IF outcome = 'posted' THEN
        IF has_kinds AND kind <> 'transfer' THEN
          p_debit[i] := d; p_credit[i] := c; p_amount[i] := amount; released := 0;
          IF kind = 'hold' THEN
            h_debit[h] := d; h_credit[h] := c; h_amount[h] := amount; h_posted[h] := 0; h_state[h] := 'pending'; h_revision[h] := 1;
            h_reserves[h] := is_own;
            h_expires[h] := posted_at + make_interval(secs => p_seconds[i]); h_item[h] := i; released := -amount; remaining := 0;
          ELSIF kind = 'reverse' THEN
            t_reversed[t] := t_reversed[t] + amount; a_forced[d] := a_forced[d] OR is_forced;
          ELSE
            released := CASE WHEN kind = 'post' AND p_keeps_rest[i] THEN amount ELSE remaining END;
            h_state[h] := CASE WHEN kind = 'void' THEN 'voided' WHEN released = remaining THEN 'posted' ELSE 'pending' END;
            IF kind = 'post' THEN h_posted[h] := h_posted[h] + amount; END IF; h_revision[h] := h_revision[h] + 1;
          END IF;
          i_released[i] := released;
          IF h IS NOT NULL THEN i_held_posted[i] := h_posted[h]; i_held_left[i] := remaining - released; i_revision[i] := h_revision[h]; END IF;
          a_held_debits[d] := a_held_debits[d] - released; a_floor[d] := a_floor[d] - released; a_debits_max[d] := a_debits_max[d] + released;
          IF h_reserves[h] THEN a_held_credits[c] := a_held_credits[c] - released; a_ceiling[c] := a_ceiling[c] + released; a_credits_max[c] := a_credits_max[c] + released; END IF;
        END IF;
        IF moves THEN
          a_debits[d] := a_debits[d] + amount; a_credits[c] := a_credits[c] + amount; a_version[d] := a_version[d] + 1; a_version[c] := a_version[c] + 1;
          i_debit_version[i] := a_version[d]; i_credit_version[i] := a_version[c]; i_debit_balance[i] := a_credits[d] - a_debits[d]; i_credit_balance[i] := a_credits[c] - a_debits[c];
          IF has_kinds AND i_becomes[i] IS NOT NULL THEN t := i_becomes[i]; t_debit[t] := d; t_credit[t] := c; t_amount[t] := amount; t_reversed[t] := 0; END IF;
        END IF;
        ledgers[i] := a_ledger[d]; IF has_duplicates THEN posted_by[i_first[i]] := i; END IF;
      END IF;
      outcomes[i] := outcome;
      IF p_atomic[p_request[i]] THEN
        IF i = 1 OR p_request[i - 1] <> p_request[i] THEN group_first := i; group_refused := false; group_full := false; END IF;
        group_refused := group_refused OR outcome NOT IN ('posted', 'exists');
        group_full := group_full OR is_full OR (outcome = 'posted' AND NOT is_own AND moves AND h_reserves[h] IS NOT true
          AND (a_credits[c] > a_credits_max[c] - own_part OR a_credits[c] - a_debits[c] > a_ceiling[c]));
        IF (group_refused OR group_full) AND (i = n OR p_request[i + 1] <> p_request[i]) THEN
          FOR j IN REVERSE i..group_first LOOP
            IF outcomes[j] IN ('posted', 'exists') THEN
              outcome := 'rolled_back';
              IF outcomes[j] = 'posted' THEN
                IF has_duplicates THEN posted_by[i_first[j]] := NULL; END IF;
                d := p_debit[j]; c := p_credit[j]; amount := p_amount[j];
                IF used IS NOT NULL THEN
                  changes := (use_limits(l_most, used, l_rules, l_a_from, l_a_limit, l_h_from, l_h_limit, l_h_current, -1, coalesce(p_kind[j], 'transfer'), d, c,
                    amount, i_released[j], false, i_hold[j], h_item[i_hold[j]] IS NULL, h_reserves[i_hold[j]], h_posted[i_hold[j]], true, true)).changes;
                  FOR x IN 1..cardinality(changes) / 2 LOOP used[changes[x * 2 - 1]] := used[changes[x * 2 - 1]] + changes[x * 2]; END LOOP;
                END IF;
                -- Which account of others is full, and whether one is if the batch is refused anyway, does not show.
                IF NOT group_refused AND a_owner[c] <> payer THEN outcome := 'unknown_account'; END IF;
                IF has_kinds AND p_kind[j] <> 'transfer' THEN
                  h := i_hold[j]; t := i_reversed[j]; released := i_released[j];
                  a_held_debits[d] := a_held_debits[d] + released; a_floor[d] := a_floor[d] + released; a_debits_max[d] := a_debits_max[d] - released;
                  IF h_reserves[h] THEN a_held_credits[c] := a_held_credits[c] + released; a_ceiling[c] := a_ceiling[c] - released; a_credits_max[c] := a_credits_max[c] - released; END IF;
                  IF t IS NOT NULL THEN t_reversed[t] := t_reversed[t] - amount;
                  ELSIF p_kind[j] = 'hold' THEN h_debit[h] := NULL; h_state[h] := NULL; h_item[h] := NULL;
                  ELSE
                    IF p_kind[j] = 'post' THEN h_posted[h] := h_posted[h] - amount; END IF; h_state[h] := 'pending'; h_revision[h] := h_revision[h] - 1;
                  END IF;
                END IF;
                IF i_debit_version[j] IS NOT NULL THEN
                  a_debits[d] := a_debits[d] - amount; a_credits[c] := a_credits[c] - amount; a_version[d] := a_version[d] - 1; a_version[c] := a_version[c] - 1;
                  IF has_kinds AND i_becomes[j] IS NOT NULL THEN t_debit[i_becomes[j]] := NULL; t_credit[i_becomes[j]] := NULL; END IF;
                END IF;
              END IF;
              outcomes[j] := outcome;
            END IF;
          END LOOP;
        END IF;
      END IF;
    END IF;
  END LOOP;

  PERFORM store_movements(posted_at, p_account, a_owner, outcomes, p_id, p_debit, p_credit, ledgers, p_amount, p_reference, p_metadata,
    p_effective_at, i_debit_version, i_credit_version, i_debit_balance, i_credit_balance, p_kind, p_target, i_released, i_hold,
    i_held_posted, i_held_left, i_revision, h_id, h_item, h_amount, h_posted, h_state, h_reserves, h_expires, h_revision, t_id, t_amount,
    t_reversed, t_before);
  IF used IS NOT NULL THEN PERFORM store_limits(lim, used, h_id, h_item, h_debit, h_credit, h_state, h_reserves); END IF;
  IF has_kinds THEN
    SELECT array_agg(p_account[x.debit] ORDER BY no), array_agg(p_account[x.credit] ORDER BY no) INTO debit_ids, credit_ids
      FROM unnest(p_debit, p_credit) WITH ORDINALITY x(debit, credit, no);
    amounts := p_amount;
  END IF;

  UPDATE accounts a
     SET debits_posted = l.debits, credits_posted = l.credits, version = l.version, posted_at = post_movements.posted_at,
         debits_pending = a.debits_pending + coalesce(l.held_debits, 0), credits_pending = a.credits_pending + coalesce(l.held_credits, 0),
         overdrawn_by_force = (a.overdrawn_by_force OR coalesce(l.forced, false)) AND l.credits - l.debits < l.floor
    FROM unnest(p_account, a_debits, a_credits, a_version, a_floor, a_held_debits, a_held_credits, a_forced)
      l(id, debits, credits, version, floor, held_debits, held_credits, forced)
   WHERE a.id = l.id AND (a.version <> l.version OR l.held_debits <> 0 OR l.held_credits <> 0);

  INSERT INTO idempotency_keys (owner, key, fingerprint, outcomes, transfer_ids, created_at)
    SELECT r.owner, r.key, r.fingerprint, x.outcomes, x.ids, post_movements.posted_at
      FROM unnest(p_owner, p_key, p_fingerprint, states) WITH ORDINALITY r(owner, key, fingerprint, state, no)
      JOIN (SELECT u.request, array_agg(u.outcome ORDER BY u.no) AS outcomes, array_agg(u.id ORDER BY u.no) AS ids
              FROM unnest(p_request, outcomes, transfer_ids) WITH ORDINALITY u(request, outcome, id, no) GROUP BY u.request) x
        ON x.request = r.no
     WHERE r.state = 'fresh' ORDER BY r.owner, r.key;

  -- The items of a replayed request get the stored outcomes of its key.
  IF stored_outcomes IS NOT NULL THEN
    FOR i IN 1..n LOOP
      IF states[p_request[i]] = 'replayed' THEN
        IF i = 1 OR p_request[i - 1] <> p_request[i] THEN group_first := i; END IF;
        outcomes[i] := stored_outcomes -> p_request[i]::text -> 'outcomes' ->> (i - group_first);
        transfer_ids[i] := (stored_outcomes -> p_request[i]::text -> 'ids' ->> (i - group_first))::uuid;
      END IF;
    END LOOP;
    outcomes := shown_outcomes(outcomes);
    RETURN;
  END IF;
  -- No key was known, so every request is fresh.
  states := NULL; IF transfer_ids = p_id THEN transfer_ids := NULL; END IF;
  IF used IS NOT NULL THEN outcomes := shown_outcomes(outcomes); END IF;
  IF 'posted' = ALL (outcomes) THEN
    outcomes := NULL;
    IF ledgers[1] = ALL (ledgers) THEN ledgers := ledgers[1:1]; END IF;
  END IF;
END $$;
