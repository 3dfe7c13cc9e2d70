-- Whose the account is: its events go to this owner. What was opened before belongs to the first one, and so does what a
-- host of the release before opens while this one is rolled out: hence the default. This statement
-- comes first: it waits for the batches that are under way and keeps others out, so none is half in the old outbox.
ALTER TABLE accounts ADD COLUMN owner text NOT NULL DEFAULT 'owner' CHECK (owner <> '');

-- The event log: one row for each event that was sent. `position` counts them without a gap, in the order in which they
-- were sent. `sequence` counts the events of a key: for an account 0 when it was opened, then the version that each of
-- its transfers gave it. What a transfer was stands in `transfers`; every other event brings its data along.
CREATE TABLE events (
  position    bigint PRIMARY KEY,
  owner       text NOT NULL,
  type        text NOT NULL,
  key         text NOT NULL,
  sequence    bigint NOT NULL,
  occurred_at timestamptz NOT NULL,
  transfer_id uuid,
  data        jsonb,
  CHECK ((transfer_id IS NULL) <> (data IS NULL))
);
CREATE UNIQUE INDEX events_by_key ON events (key, sequence);
CREATE INDEX events_by_owner ON events (owner, position);
CREATE TRIGGER events_immutable BEFORE UPDATE OR DELETE ON events
  FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Transfers of before have not been sent to anybody. They begin the log, those of an account in its order.
INSERT INTO events (position, owner, type, key, sequence, occurred_at, transfer_id)
  SELECT row_number() OVER (ORDER BY age, key, sequence), owner, type, key, sequence, created_at, transfer_id
    FROM (SELECT s.*, a.owner, max(s.created_at) OVER (PARTITION BY s.key ORDER BY s.sequence) AS age
            FROM (SELECT id AS transfer_id, created_at, 'account.debited.v1' AS type, debit_account_id::text AS key,
                         debit_version AS sequence FROM transfers
                  UNION ALL
                  SELECT id, created_at, 'account.credited.v1', credit_account_id::text, credit_version FROM transfers) s
            JOIN accounts a ON a.id = s.key::uuid) sides;

-- What has not been sent yet, written in the transaction that it tells of: one row for a transfer, which becomes one
-- event for each of its accounts, or one row for any other event. A row is numbered while its writer holds the key's
-- row lock, so within one snapshot the rows of a key are all there, in order. Never read on from a number: writers commit late.
DROP TABLE outbox;
CREATE TABLE outbox (
  id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  transfer_id       uuid,
  debit_account_id  uuid,
  debit_version     bigint,
  credit_account_id uuid,
  credit_version    bigint,
  owner             text,
  type              text,
  key               text,
  sequence          bigint,
  occurred_at       timestamptz,
  data              jsonb,
  CHECK (CASE WHEN transfer_id IS NULL
    THEN num_nulls(owner, type, key, sequence, occurred_at, data) = 0
    ELSE num_nulls(debit_account_id, debit_version, credit_account_id, credit_version) = 0
         AND num_nonnulls(owner, type, key, sequence, occurred_at, data) = 0 END)
);
CREATE UNIQUE INDEX outbox_by_transfer ON outbox (transfer_id) WHERE transfer_id IS NOT NULL;

-- Who sends. One row: `epoch` grows with each new relay, and who does not know the newest one changes nothing any more.
CREATE TABLE relay (
  is_only       boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  epoch         bigint NOT NULL DEFAULT 0,
  holder        text,
  expires_at    timestamptz NOT NULL DEFAULT '-infinity',
  last_position bigint NOT NULL
);
INSERT INTO relay (last_position) SELECT coalesce(max(position), 0) FROM events;

-- Keys whose next event was refused for what it is, and what has come for them since. Other keys go on.
CREATE TABLE parked_keys (
  key       text PRIMARY KEY,
  reason    text NOT NULL,
  parked_at timestamptz NOT NULL DEFAULT now(),
  retry     boolean NOT NULL DEFAULT false
);
-- Two of them may claim the same place of a key: that is a reason to stop it, and must not stop the relay.
CREATE TABLE parked_events (
  no          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key         text NOT NULL,
  sequence    bigint NOT NULL,
  owner       text NOT NULL,
  type        text NOT NULL,
  occurred_at timestamptz NOT NULL,
  transfer_id uuid,
  data        jsonb
);
CREATE INDEX parked_events_by_key ON parked_events (key, sequence);

-- How far each consumer is: in the log of PostgreSQL (partition -1, the last position), or in each partition of Kafka.
CREATE TABLE consumer_offsets (
  consumer  text NOT NULL,
  partition int NOT NULL,
  position  bigint NOT NULL,
  PRIMARY KEY (consumer, partition)
);
-- The last event of each key that had its effect, written in the transaction of the effect: what comes again is known,
-- and a gap would be seen. As sequences of a key have no gaps, one row does for all its events.
CREATE TABLE inbox (
  consumer text NOT NULL,
  key      text NOT NULL,
  sequence bigint NOT NULL,
  PRIMARY KEY (consumer, key)
);

-- Posts a batch of requests and answers what became of each item. Refusals are outcomes, never exceptions.
-- Requests come with their items next to each other, and no key twice. Accounts come once each, in the order of their
-- ids, and items name them by number: that saves two joins a batch, whose plans are bad when the planner guesses.
CREATE OR REPLACE FUNCTION post_transfers(
  p_owner text[], p_key text[], p_fingerprint bytea[], p_atomic boolean[],
  p_account uuid[],
  p_request int[], p_id uuid[], p_debit int[], p_credit int[], p_amount bigint[], p_reference text[], p_metadata jsonb[],
  OUT posted_at timestamptz,
  -- By request: fresh, replayed, or reused (the key belongs to another request).
  OUT states text[],
  -- By item: posted, exists, rolled_back, or the code of a refusal.
  OUT outcomes text[],
  OUT transfer_ids uuid[],
  OUT ledgers text[]
) LANGUAGE plpgsql
-- For a batch of hundreds the planner would rather read whole tables than probe their indexes, and each batch grows them.
SET enable_seqscan = off AS $$
DECLARE
  sum_max CONSTANT bigint := 9007199254740991;
  n int := cardinality(p_id);
  -- By account.
  a_id uuid[]; a_ledger text[]; a_negative boolean[]; a_debits bigint[]; a_credits bigint[]; a_version bigint[];
  -- By item: whether its id exists with the same content, and the versions it gave to its accounts.
  i_same boolean[]; i_debit_version bigint[]; i_credit_version bigint[];
  -- Where an id comes twice: by item the first item with its id, and by that one the item that was posted.
  i_first int[]; posted_by int[];
  stored_outcomes jsonb; has_duplicates boolean; j int;
  d int; c int; amount bigint; outcome text; group_first int := 1; group_refused boolean := false;
BEGIN
  -- One batch at a time in the whole database: two at once were measured to be slower than one, and so no two batches
  -- can wait for each other. The row locks below guard the money against everything else.
  PERFORM pg_advisory_xact_lock(5703951129318914);
  posted_at := clock_timestamp();

  SELECT array_agg(CASE WHEN k.owner IS NULL THEN 'fresh' WHEN k.fingerprint = r.fingerprint THEN 'replayed' ELSE 'reused' END ORDER BY r.no),
         jsonb_object_agg(r.no, jsonb_build_object('outcomes', k.outcomes, 'ids', k.transfer_ids)) FILTER (WHERE k.owner IS NOT NULL)
    INTO states, stored_outcomes
    FROM unnest(p_owner, p_key, p_fingerprint) WITH ORDINALITY r(owner, key, fingerprint, no)
    LEFT JOIN idempotency_keys k ON k.owner = r.owner AND k.key = r.key;

  SELECT array_agg(l.id), array_agg(l.ledger), array_agg(l.allow_negative),
         array_agg(l.debits_posted), array_agg(l.credits_posted), array_agg(l.version)
    INTO a_id, a_ledger, a_negative, a_debits, a_credits, a_version
    FROM (SELECT * FROM accounts WHERE id = ANY (p_account) ORDER BY id FOR NO KEY UPDATE) l;
  IF a_id IS DISTINCT FROM p_account THEN
    -- Some account does not exist: it gets a place without a ledger, so that the numbers fit again.
    SELECT array_agg(l.ledger ORDER BY u.no), array_agg(l.negative ORDER BY u.no),
           array_agg(l.debits ORDER BY u.no), array_agg(l.credits ORDER BY u.no), array_agg(l.version ORDER BY u.no)
      INTO a_ledger, a_negative, a_debits, a_credits, a_version
      FROM unnest(p_account) WITH ORDINALITY u(id, no)
      LEFT JOIN unnest(a_id, a_ledger, a_negative, a_debits, a_credits, a_version)
        l(id, ledger, negative, debits, credits, version) ON l.id = u.id;
  END IF;

  i_same := array_fill(NULL::boolean, ARRAY[n]);
  IF EXISTS (SELECT FROM transfers WHERE id = ANY (p_id)) THEN
    SELECT array_agg(CASE WHEN t.id IS NOT NULL THEN t.debit_account_id = p_account[x.debit]
             AND t.credit_account_id = p_account[x.credit] AND t.amount = x.amount
             AND t.reference IS NOT DISTINCT FROM x.reference AND t.metadata = x.metadata END ORDER BY x.no)
      INTO i_same
      FROM unnest(p_id, p_debit, p_credit, p_amount, p_reference, p_metadata) WITH ORDINALITY
        x(id, debit, credit, amount, reference, metadata, no)
      LEFT JOIN transfers t ON t.id = x.id;
  END IF;
  SELECT count(DISTINCT id) < n INTO has_duplicates FROM unnest(p_id) id;
  IF has_duplicates THEN
    SELECT array_agg(w.first ORDER BY w.no) INTO i_first
      FROM (SELECT no, min(no) OVER (PARTITION BY id) AS first FROM unnest(p_id) WITH ORDINALITY u(id, no)) w;
    posted_by := array_fill(NULL::int, ARRAY[n]);
  END IF;

  outcomes := array_fill(NULL::text, ARRAY[n]);
  ledgers := outcomes;
  transfer_ids := p_id;
  i_debit_version := array_fill(NULL::bigint, ARRAY[n]);
  i_credit_version := i_debit_version;

  FOR i IN 1..n LOOP
    IF states[p_request[i]] = 'fresh' THEN
      d := p_debit[i]; c := p_credit[i]; amount := p_amount[i];
      IF has_duplicates AND i_same[i] IS NULL AND posted_by[i_first[i]] IS NOT NULL THEN
        -- An id can come twice in one batch; the item that was posted under it counts as existing.
        j := posted_by[i_first[i]];
        i_same[i] := p_debit[j] = d AND p_credit[j] = c AND p_amount[j] = amount
          AND p_reference[j] IS NOT DISTINCT FROM p_reference[i] AND p_metadata[j] = p_metadata[i];
      END IF;
      IF i_same[i] IS NOT NULL THEN
        outcome := CASE WHEN i_same[i] THEN 'exists' ELSE 'transfer_id_taken' END;
      ELSIF d = c THEN
        outcome := 'same_account';
      ELSIF a_ledger[d] IS NULL OR a_ledger[c] IS NULL THEN
        outcome := 'unknown_account';
      ELSIF a_ledger[d] <> a_ledger[c] THEN
        outcome := 'different_ledgers';
      ELSIF NOT a_negative[d] AND a_credits[d] - a_debits[d] < amount THEN
        outcome := 'insufficient_funds';
      ELSIF a_debits[d] > sum_max - amount OR a_credits[c] > sum_max - amount THEN
        outcome := 'balance_overflow';
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
          group_first := i; group_refused := false;
        END IF;
        group_refused := group_refused OR outcome NOT IN ('posted', 'exists');
        IF group_refused AND (i = n OR p_request[i + 1] <> p_request[i]) THEN
          FOR j IN REVERSE i..group_first LOOP
            IF outcomes[j] IN ('posted', 'exists') THEN
              IF outcomes[j] = 'posted' THEN
                IF has_duplicates THEN posted_by[i_first[j]] := NULL; END IF;
                d := p_debit[j]; c := p_credit[j];
                a_debits[d] := a_debits[d] - p_amount[j];
                a_credits[c] := a_credits[c] - p_amount[j];
                a_version[d] := a_version[d] - 1;
                a_version[c] := a_version[c] - 1;
              END IF;
              outcomes[j] := 'rolled_back';
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

  -- In the order of the versions, so that the rows of an account are numbered as its transfers are.
  INSERT INTO outbox (transfer_id, debit_account_id, debit_version, credit_account_id, credit_version)
    SELECT x.id, p_account[x.debit], x.debit_version, p_account[x.credit], x.credit_version
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
              FROM unnest(p_request, outcomes, p_id) WITH ORDINALITY u(request, outcome, id, no) GROUP BY u.request) x
        ON x.request = r.no
     WHERE r.state = 'fresh' ORDER BY r.owner, r.key;

  -- Items of a replayed request take what was stored under its key.
  IF stored_outcomes IS NOT NULL THEN
    FOR i IN 1..n LOOP
      IF states[p_request[i]] = 'replayed' THEN
        IF i = 1 OR p_request[i - 1] <> p_request[i] THEN group_first := i; END IF;
        outcomes[i] := stored_outcomes -> p_request[i]::text -> 'outcomes' ->> (i - group_first);
        transfer_ids[i] := (stored_outcomes -> p_request[i]::text -> 'ids' ->> (i - group_first))::uuid;
      END IF;
    END LOOP;
  END IF;
END $$;
