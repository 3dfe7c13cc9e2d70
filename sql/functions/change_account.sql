-- number: 2
-- migration: 27
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Changes what can be changed of an account, with its event. `p_revisions`: those that it may have now, null for any.
-- `p_change` has a member for each value that is set, named as in the API, where null clears it; and `closed`. Imports also
-- send `overdrawn`: the account may be below the floor that it gets, because it was taken below it by force elsewhere.
-- `p_event_key`: the key of its events, if this is the first.
CREATE OR REPLACE FUNCTION change_account(
  p_owner text, p_id uuid, p_revisions bigint[], p_change jsonb, p_event_key uuid,
  -- changed, unchanged, or why nothing was changed.
  OUT outcome text,
  -- After the change. Null if it was refused.
  OUT account accounts,
  -- What was changed, by name, for the audit log.
  OUT before jsonb, OUT after jsonb
) LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  tree_max CONSTANT int := 10000;
  depth_max CONSTANT int := 8;
  parent uuid := (p_change ->> 'parentId')::uuid;
  parent_refusal text; depth int; height int; size int;
  was accounts; now accounts;
  balance bigint; available bigint; floor bigint;
  is_overdrawn boolean := coalesce((p_change ->> 'overdrawn')::boolean, false);
  former jsonb; present jsonb; changed text[];
  changed_at timestamptz; event_key uuid; sequence bigint;
BEGIN
  IF parent IS NOT NULL THEN
    -- All of this before the row is locked, for which payments would wait. The trees stay as they are from here on.
    PERFORM lock_account_tree(p_owner, true);
    SELECT p.refusal, p.depth INTO parent_refusal, depth
      FROM accounts a CROSS JOIN LATERAL check_account_parent(a.id, a.owner, a.ledger, parent) p
     WHERE a.id = p_id AND a.owner = p_owner AND a.parent_id IS DISTINCT FROM parent;
    IF depth IS NOT NULL AND parent_refusal IS NULL THEN
      WITH RECURSIVE tree (id, level) AS (
        SELECT p_id, 1
        UNION ALL
        SELECT c.id, t.level + 1 FROM tree t
         CROSS JOIN LATERAL (SELECT a.id FROM accounts a WHERE a.parent_id = t.id LIMIT tree_max + 1) c
      )
      SELECT count(*), max(level) INTO size, height FROM (SELECT level FROM tree LIMIT tree_max + 1) t;
      parent_refusal := CASE WHEN size > tree_max THEN 'account_tree_too_large'
        WHEN depth + height - 1 > depth_max THEN 'account_tree_too_deep' END;
    END IF;
  END IF;

  SELECT * INTO was FROM accounts a WHERE a.id = p_id AND a.owner = p_owner FOR NO KEY UPDATE;
  IF NOT FOUND THEN outcome := 'account_not_found'; RETURN; END IF;
  IF NOT was.revision = ANY (p_revisions) THEN outcome := 'precondition_failed'; RETURN; END IF;
  IF parent_refusal IS NOT NULL THEN outcome := parent_refusal; RETURN; END IF;

  balance := was.credits_posted - was.debits_posted;
  available := balance - was.debits_pending;
  changed_at := greatest(clock_timestamp(), was.posted_at);
  now := was;
  IF p_change ? 'name' THEN now.name := p_change ->> 'name'; END IF;
  IF p_change ? 'metadata' THEN now.metadata := p_change -> 'metadata'; END IF;
  IF p_change ? 'parentId' THEN now.parent_id := parent; END IF;
  IF p_change ? 'balanceMin' THEN now.balance_min := (p_change ->> 'balanceMin')::bigint; END IF;
  IF p_change ? 'balanceMax' THEN now.balance_max := (p_change ->> 'balanceMax')::bigint; END IF;
  IF p_change ? 'debitsFrozen' THEN now.debits_frozen := (p_change ->> 'debitsFrozen')::boolean; END IF;
  IF p_change ? 'creditsFrozen' THEN now.credits_frozen := (p_change ->> 'creditsFrozen')::boolean; END IF;
  IF p_change ? 'acceptsFrom' THEN now.accepts_from := nullif(p_change -> 'acceptsFrom', 'null'); END IF;
  IF p_change ? 'acceptsUpTo' THEN now.accepts_up_to := (p_change ->> 'acceptsUpTo')::bigint; END IF;
  IF p_change ? 'closed' THEN
    now.closed_at := CASE WHEN (p_change ->> 'closed')::boolean THEN coalesce(was.closed_at, changed_at) END;
  END IF;
  account := was;
  IF now IS NOT DISTINCT FROM was THEN outcome := 'unchanged'; RETURN; END IF;

  floor := coalesce(now.balance_min, CASE WHEN NOT was.allow_negative THEN 0 END);
  outcome := CASE
    WHEN now.closed_at IS NOT NULL AND (balance <> 0 OR was.debits_pending <> 0 OR was.credits_pending <> 0) THEN 'account_not_empty'
    WHEN now.balance_min IS DISTINCT FROM was.balance_min AND available < floor AND NOT is_overdrawn THEN 'balance_below_limit'
    WHEN balance + was.credits_pending > now.balance_max THEN 'balance_above_limit' END;
  IF outcome IS NOT NULL THEN account := NULL; RETURN; END IF;
  outcome := 'changed';
  now.overdrawn_by_force := (was.overdrawn_by_force OR is_overdrawn) AND coalesce(available < floor, false);
  now.revision := was.revision + 1;
  UPDATE accounts a
     SET name = now.name, metadata = now.metadata, parent_id = now.parent_id, balance_min = now.balance_min,
         balance_max = now.balance_max, debits_frozen = now.debits_frozen, credits_frozen = now.credits_frozen,
         accepts_from = now.accepts_from, accepts_up_to = now.accepts_up_to, closed_at = now.closed_at,
         overdrawn_by_force = now.overdrawn_by_force, revision = now.revision
   WHERE a.id = p_id;
  account := now;

  SELECT jsonb_object_agg(x.name, x.former), jsonb_object_agg(x.name, x.present), array_agg(x.name ORDER BY x.name)
    INTO former, present, changed
    FROM (VALUES
      ('name', to_jsonb(was.name), to_jsonb(now.name)),
      ('metadata', was.metadata, now.metadata),
      ('parentId', to_jsonb(was.parent_id), to_jsonb(now.parent_id)),
      ('balanceMin', to_jsonb(was.balance_min), to_jsonb(now.balance_min)),
      ('balanceMax', to_jsonb(was.balance_max), to_jsonb(now.balance_max)),
      ('debitsFrozen', to_jsonb(was.debits_frozen), to_jsonb(now.debits_frozen)),
      ('creditsFrozen', to_jsonb(was.credits_frozen), to_jsonb(now.credits_frozen)),
      ('acceptsFrom', was.accepts_from, now.accepts_from),
      ('acceptsUpTo', to_jsonb(was.accepts_up_to), to_jsonb(now.accepts_up_to)),
      ('closedAt', to_jsonb(was.closed_at), to_jsonb(now.closed_at))) x(name, former, present)
   WHERE x.former IS DISTINCT FROM x.present;
  -- Metadata may be about people, and the audit log is forever: it gets its hash.
  IF present ? 'metadata' THEN
    former := former - 'metadata' || jsonb_build_object('metadataSha256', encode(sha256(convert_to(was.metadata::text, 'UTF8')), 'hex'));
    present := present - 'metadata' || jsonb_build_object('metadataSha256', encode(sha256(convert_to(now.metadata::text, 'UTF8')), 'hex'));
  END IF;
  before := former; after := present;

  INSERT INTO changed_accounts AS c (account_id, key, changes, is_redescribed)
  VALUES (p_id, p_event_key, 1, changed && ARRAY['name', 'metadata'])
  ON CONFLICT (account_id) DO UPDATE SET changes = c.changes + 1, is_redescribed = c.is_redescribed OR excluded.is_redescribed
  RETURNING c.key, c.changes INTO event_key, sequence;
  INSERT INTO outbox (owner, type, key, sequence, occurred_at, data)
  VALUES (p_owner,
          CASE WHEN NOT p_change ? 'closed' THEN 'account.updated.v1' WHEN now.closed_at IS NULL THEN 'account.reopened.v1'
            ELSE 'account.closed.v1' END,
          event_key, sequence, changed_at,
          jsonb_build_object('accountId', p_id, 'ledger', now.ledger, 'name', now.name, 'metadata', now.metadata,
            'parentId', now.parent_id, 'balanceMin', now.balance_min, 'balanceMax', now.balance_max,
            'debitsFrozen', now.debits_frozen, 'creditsFrozen', now.credits_frozen,
            'closedAt', to_char(now.closed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'accountVersion', now.version)
          || CASE WHEN p_change ? 'closed' THEN '{}' ELSE jsonb_build_object('changed', changed) END);
END $$;
