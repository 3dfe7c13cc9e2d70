-- number: 4
-- migration: 20
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Posts a batch of requests and returns the outcome of each item. Refusals are outcomes, never exceptions.
-- The items of a request are adjacent, and no key comes twice. Each account comes once, ordered by id, and items refer to
-- it by number: that saves two joins per batch, whose plans are bad when the planner has to guess.
CREATE OR REPLACE FUNCTION post_orders(
  p_owner text[], p_key text[], p_fingerprint bytea[], p_atomic boolean[],
  p_account uuid[],
  p_request int[], p_id uuid[],
  -- By item, the id that the other release derives, with or without the secret: if an equal transfer has it, the item
  -- exists. Null for an id that the caller chose, which may not be one of those that are derived (UUIDv8).
  p_other_id uuid[],
  p_debit int[], p_credit int[], p_amount bigint[], p_reference text[], p_metadata jsonb[],
  OUT posted_at timestamptz,
  -- By request: fresh, replayed, or reused (the key belongs to another request). Null if all are fresh.
  OUT states text[],
  -- By item: posted, exists, rolled_back, or the code of a refusal. Null if all are posted.
  OUT outcomes text[],
  -- By item. Null if each item has the id of `p_id`.
  OUT transfer_ids uuid[],
  -- By item, or one element if all are the same.
  OUT ledgers text[]
) LANGUAGE plpgsql
-- For hundreds of items the planner prefers scanning whole tables, which grow with each batch, to probing indexes.
SET enable_seqscan = off SET jit = off AS $$
DECLARE
  sum_max CONSTANT bigint := 9007199254740991;
  -- Up to where other organizations can pay an account. So what they pay leaves half of it to its own.
  others_max CONSTANT bigint := sum_max / 2;
  n int := cardinality(p_id);
  -- By account.
  a_id uuid[]; a_owner text[]; a_accepts jsonb[]; a_up_to bigint[]; a_ledger text[]; a_negative boolean[];
  a_debits bigint[]; a_credits bigint[]; a_version bigint[];
  -- By item: whether its id exists with the same content, and the new versions of its accounts.
  i_same boolean[]; i_debit_version bigint[]; i_credit_version bigint[];
  -- If an id comes twice: by item, the first item with its id, and by that item, the one that was posted.
  i_first int[]; posted_by int[];
  stored_outcomes jsonb; has_duplicates boolean; has_other_ids boolean; isolates boolean; j int;
  payer text; is_own boolean; d int; c int; amount bigint; outcome text; group_first int := 1; group_refused boolean := false;
  -- Whether an account of others would receive more than it can from others.
  group_full boolean := false;
BEGIN
  -- One batch at a time in the whole database: two at once are slower (measured), and this way they cannot deadlock. The
  -- row locks below protect the balances against everything else.
  PERFORM pg_advisory_xact_lock(5703951129318914);
  SELECT clock_timestamp(), has_former_ids, isolates_owners INTO posted_at, has_other_ids, isolates FROM transfer_id_secret;

  SELECT array_agg(CASE WHEN k.owner IS NULL THEN 'fresh' WHEN k.fingerprint = r.fingerprint THEN 'replayed' ELSE 'reused' END ORDER BY r.no),
         jsonb_object_agg(r.no, jsonb_build_object('outcomes', k.outcomes, 'ids', k.transfer_ids)) FILTER (WHERE k.owner IS NOT NULL)
    INTO states, stored_outcomes
    FROM unnest(p_owner, p_key, p_fingerprint) WITH ORDINALITY r(owner, key, fingerprint, no)
    LEFT JOIN idempotency_keys k ON k.owner = r.owner AND k.key = r.key;

  SELECT array_agg(l.id), array_agg(l.owner), array_agg(l.accepts_from), array_agg(l.accepts_up_to), array_agg(l.ledger),
         array_agg(l.allow_negative), array_agg(l.debits_posted), array_agg(l.credits_posted), array_agg(l.version)
    INTO a_id, a_owner, a_accepts, a_up_to, a_ledger, a_negative, a_debits, a_credits, a_version
    FROM (SELECT * FROM accounts WHERE id = ANY (p_account) ORDER BY id FOR NO KEY UPDATE) l;
  IF a_id IS DISTINCT FROM p_account THEN
    -- An account does not exist: it gets an entry without a ledger, so that the numbers match again.
    SELECT array_agg(l.owner ORDER BY u.no), array_agg(l.accepts ORDER BY u.no), array_agg(l.up_to ORDER BY u.no), array_agg(l.ledger ORDER BY u.no),
           array_agg(l.negative ORDER BY u.no), array_agg(l.debits ORDER BY u.no), array_agg(l.credits ORDER BY u.no), array_agg(l.version ORDER BY u.no)
      INTO a_owner, a_accepts, a_up_to, a_ledger, a_negative, a_debits, a_credits, a_version
      FROM unnest(p_account) WITH ORDINALITY u(id, no)
      LEFT JOIN unnest(a_id, a_owner, a_accepts, a_up_to, a_ledger, a_negative, a_debits, a_credits, a_version)
        l(id, owner, accepts, up_to, ledger, negative, debits, credits, version) ON l.id = u.id;
  END IF;

  i_same := array_fill(NULL::boolean, ARRAY[n]);
  transfer_ids := p_id;
  IF EXISTS (SELECT FROM transfers WHERE id = ANY (CASE WHEN has_other_ids THEN p_id || p_other_id ELSE p_id END))
     OR (array_position(p_other_id, NULL) IS NOT NULL AND EXISTS (
       SELECT FROM unnest(p_id, p_other_id) u(id, other) WHERE other IS NULL AND id::text ~ '^.{14}8.{4}[89ab]')) THEN
    -- Whatever the id belongs to, and whether it exists: the caller gets the same outcome.
    SELECT array_agg(CASE WHEN o.id IS NOT NULL THEN true
             WHEN t.id IS NOT NULL THEN (t.debit_account_id, t.credit_account_id, t.amount, t.reference, t.metadata)
               IS NOT DISTINCT FROM (x.debit_id, x.credit_id, x.amount, x.reference, x.metadata)
             WHEN x.other IS NULL AND x.id::text ~ '^.{14}8.{4}[89ab]' THEN false END ORDER BY x.no),
           array_agg(coalesce(o.id, x.id) ORDER BY x.no)
      INTO i_same, transfer_ids
      FROM (SELECT *, p_account[debit] AS debit_id, p_account[credit] AS credit_id
              FROM unnest(p_id, p_other_id, p_debit, p_credit, p_amount, p_reference, p_metadata) WITH ORDINALITY
                u(id, other, debit, credit, amount, reference, metadata, no)) x
      LEFT JOIN transfers t ON t.id = x.id
      LEFT JOIN transfers o ON o.id = x.other AND has_other_ids
       AND (o.debit_account_id, o.credit_account_id, o.amount, o.reference, o.metadata)
         IS NOT DISTINCT FROM (x.debit_id, x.credit_id, x.amount, x.reference, x.metadata);
  END IF;
  SELECT count(DISTINCT id) < n INTO has_duplicates FROM unnest(p_id) id;
  IF has_duplicates THEN
    SELECT array_agg(w.first ORDER BY w.no) INTO i_first
      FROM (SELECT no, min(no) OVER (PARTITION BY id) AS first FROM unnest(p_id) WITH ORDINALITY u(id, no)) w;
    posted_by := array_fill(NULL::int, ARRAY[n]);
  END IF;

  outcomes := array_fill(NULL::text, ARRAY[n]);
  ledgers := outcomes;
  i_debit_version := array_fill(NULL::bigint, ARRAY[n]);
  i_credit_version := i_debit_version;

  FOR i IN 1..n LOOP
    IF states[p_request[i]] = 'fresh' THEN
      d := p_debit[i]; c := p_credit[i]; amount := p_amount[i];
      IF has_duplicates AND i_same[i] IS NULL AND posted_by[i_first[i]] IS NOT NULL THEN
        -- An id may come twice in one batch. The item that was posted counts as existing.
        j := posted_by[i_first[i]];
        i_same[i] := p_debit[j] = d AND p_credit[j] = c AND p_amount[j] = amount
          AND p_reference[j] IS NOT DISTINCT FROM p_reference[i] AND p_metadata[j] = p_metadata[i];
      END IF;
      payer := p_owner[p_request[i]];
      is_own := NOT isolates OR a_owner[c] = payer;
      IF isolates AND d <> c AND a_owner[d] IS DISTINCT FROM payer THEN
        -- Before anything else, so that nothing about accounts and transfers of others shows.
        outcome := 'unknown_account';
        transfer_ids[i] := p_id[i];
      ELSIF i_same[i] IS NOT NULL THEN
        outcome := CASE WHEN i_same[i] THEN 'exists' ELSE 'transfer_id_taken' END;
      ELSIF d = c THEN
        outcome := 'same_account';
      ELSIF a_ledger[d] IS NULL OR a_ledger[c] IS NULL THEN
        outcome := 'unknown_account';
      ELSIF NOT is_own AND NOT coalesce(accepts_payer(a_accepts[c], a_owner[c], payer) AND amount <= a_up_to[c]
                                        AND a_ledger[c] = a_ledger[d], false) THEN
        -- Whatever the reason is, it is the state of an account of others.
        outcome := 'unknown_account';
      ELSIF a_ledger[d] <> a_ledger[c] THEN
        outcome := 'different_ledgers';
      ELSIF NOT a_negative[d] AND a_credits[d] - a_debits[d] < amount THEN
        outcome := 'insufficient_funds';
      ELSIF a_debits[d] > sum_max - amount OR (is_own AND a_credits[c] > sum_max - amount) THEN
        outcome := 'balance_overflow';
      ELSIF NOT is_own AND a_credits[c] > others_max - amount AND NOT p_atomic[p_request[i]] THEN
        -- Last, so that only who pays the amount otherwise learns that it is not too large for the account of others.
        outcome := 'unknown_account';
      ELSE
        outcome := 'posted';
        a_debits[d] := a_debits[d] + amount;
        a_credits[c] := a_credits[c] + amount;
        a_version[d] := a_version[d] + 1;
        a_version[c] := a_version[c] + 1;
        i_debit_version[i] := a_version[d];
        i_credit_version[i] := a_version[c];
        ledgers[i] := a_ledger[d];
        IF has_duplicates THEN posted_by[i_first[i]] := i; END IF;
      END IF;
      outcomes[i] := outcome;
      IF p_atomic[p_request[i]] THEN
        IF i = 1 OR p_request[i - 1] <> p_request[i] THEN
          group_first := i; group_refused := false; group_full := false;
        END IF;
        group_refused := group_refused OR outcome NOT IN ('posted', 'exists');
        group_full := group_full OR (outcome = 'posted' AND NOT is_own AND a_credits[c] > others_max);
        IF (group_refused OR group_full) AND (i = n OR p_request[i + 1] <> p_request[i]) THEN
          FOR j IN REVERSE i..group_first LOOP
            IF outcomes[j] IN ('posted', 'exists') THEN
              outcome := 'rolled_back';
              IF outcomes[j] = 'posted' THEN
                IF has_duplicates THEN posted_by[i_first[j]] := NULL; END IF;
                d := p_debit[j]; c := p_credit[j];
                -- Which account of others is full, and whether one is if the batch is refused anyway, does not show.
                IF NOT group_refused AND a_owner[c] <> payer THEN outcome := 'unknown_account'; END IF;
                a_debits[d] := a_debits[d] - p_amount[j];
                a_credits[c] := a_credits[c] - p_amount[j];
                a_version[d] := a_version[d] - 1;
                a_version[c] := a_version[c] - 1;
              END IF;
              outcomes[j] := outcome;
            END IF;
          END LOOP;
        END IF;
      END IF;
    END IF;
  END LOOP;

  INSERT INTO transfers (id, debit_account_id, debit_version, credit_account_id, credit_version, ledger, amount, reference, metadata, created_at)
    SELECT x.id, p_account[x.debit], x.debit_version, p_account[x.credit], x.credit_version, x.ledger, x.amount, x.reference, x.metadata, posted_at
      FROM unnest(p_id, p_debit, i_debit_version, p_credit, i_credit_version, ledgers, p_amount, p_reference, p_metadata, outcomes)
        x(id, debit, debit_version, credit, credit_version, ledger, amount, reference, metadata, outcome)
     WHERE x.outcome = 'posted' ORDER BY x.id;

  -- In version order, so that the rows of an account are numbered like its transfers.
  INSERT INTO outbox (transfer_id, debit_account_id, debit_version, debit_owner, credit_account_id, credit_version,
                      credit_owner, posted_at)
    SELECT x.id, p_account[x.debit], x.debit_version, a_owner[x.debit], p_account[x.credit], x.credit_version,
           a_owner[x.credit], post_orders.posted_at
      FROM unnest(p_id, p_debit, i_debit_version, p_credit, i_credit_version, outcomes) WITH ORDINALITY
        x(id, debit, debit_version, credit, credit_version, outcome, no)
     WHERE x.outcome = 'posted' ORDER BY x.no;

  UPDATE accounts a
     SET debits_posted = l.debits, credits_posted = l.credits, version = l.version
    FROM unnest(p_account, a_debits, a_credits, a_version) l(id, debits, credits, version)
   WHERE a.id = l.id AND a.version <> l.version;

  INSERT INTO idempotency_keys (owner, key, fingerprint, outcomes, transfer_ids, created_at)
    SELECT r.owner, r.key, r.fingerprint, x.outcomes, x.ids, posted_at
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
    RETURN;
  END IF;
  -- No key was known, so every request is fresh.
  states := NULL;
  IF transfer_ids = p_id THEN transfer_ids := NULL; END IF;
  IF 'posted' = ALL (outcomes) THEN
    outcomes := NULL;
    IF ledgers[1] = ALL (ledgers) THEN ledgers := ledgers[1:1]; END IF;
  END IF;
END $$;
