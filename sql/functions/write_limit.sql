-- number: 1
-- migration: 24
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Creates a limit across accounts, or changes one, and returns the outcome: created, changed, or why nothing was written. It
-- locks the row last: a batch of payments may wait for it.
CREATE OR REPLACE FUNCTION write_limit(
  p_id uuid, p_owner text, p_is_new boolean, p_by_operator boolean,
  -- The revisions that may be changed. Null for any.
  p_expected bigint[],
  -- Of a new one all members, and of a change those that change. A maximum that is null is removed.
  p_content jsonb,
  -- Null for all accounts of the owner, or if they do not change.
  p_accounts uuid[],
  p_limits_max int, p_whole_limits_max int, p_account_limits_max int,
  OUT outcome text,
  -- The number of the account that is refused.
  OUT account_no int, OUT before jsonb, OUT after jsonb
) LANGUAGE plpgsql AS $$
DECLARE
  maxima jsonb := coalesce(p_content -> 'maxima', '{}');
  setter CONSTANT text := CASE WHEN p_by_operator THEN 'operator' ELSE 'organization' END;
  former limits; changed limits; former_accounts uuid[];
BEGIN
  -- Writes of an owner are one after the other, so that all below stays true. Nobody can choose a name with the number of
  -- another lock.
  PERFORM pg_advisory_xact_lock(('x' || left(encode(sha256(convert_to('limits of ' || p_owner, 'UTF8')), 'hex'), 16))::bit(64)::bigint);
  IF p_is_new THEN
    changed.id := p_id; changed.owner := p_owner; changed.set_by := setter; changed.revision := 1;
    changed.scope := CASE WHEN p_accounts IS NULL THEN 'organization' ELSE 'accounts' END;
    changed.ledger := p_content ->> 'ledger'; changed.counts := p_content ->> 'counts';
    changed.counts_internal := (p_content ->> 'countsInternal')::boolean;
    -- The organization cannot use up what operators may set, nor the other way around.
    IF (SELECT count(*) FROM limits WHERE owner = p_owner AND set_by = setter AND deleted_at IS NULL) >= p_limits_max
       OR (p_accounts IS NULL AND (SELECT count(*) FROM limits WHERE owner = p_owner AND ledger = changed.ledger AND set_by = setter
             AND scope = 'organization' AND deleted_at IS NULL) >= p_whole_limits_max) THEN
      outcome := 'too_many_limits'; RETURN;
    END IF;
  ELSE
    SELECT * INTO former FROM limits WHERE id = p_id AND owner = p_owner AND deleted_at IS NULL;
    outcome := CASE WHEN NOT FOUND THEN 'limit_not_found'
      WHEN former.set_by = 'operator' AND NOT p_by_operator THEN 'limit_of_operator'
      WHEN former.revision <> ALL (p_expected) THEN 'precondition_failed'
      WHEN former.scope = 'organization' AND p_accounts IS NOT NULL THEN 'no_accounts' END;
    IF outcome IS NOT NULL THEN RETURN; END IF;
    changed := former; changed.revision := former.revision + 1;
    former_accounts := ARRAY(SELECT account_id FROM limit_accounts WHERE limit_id = p_id ORDER BY account_id);
  END IF;
  changed.name := coalesce(p_content ->> 'name', changed.name);
  IF maxima ? 'transferAmount' THEN changed.transfer_amount_max := maxima ->> 'transferAmount'; END IF;
  IF maxima ? 'hourAmount' THEN changed.hour_amount_max := maxima ->> 'hourAmount'; END IF;
  IF maxima ? 'hourCount' THEN changed.hour_count_max := maxima ->> 'hourCount'; END IF;
  IF maxima ? 'dayAmount' THEN changed.day_amount_max := maxima ->> 'dayAmount'; END IF;
  IF maxima ? 'dayCount' THEN changed.day_count_max := maxima ->> 'dayCount'; END IF;
  IF maxima ? 'totalAmount' THEN changed.total_amount_max := maxima ->> 'totalAmount'; END IF;
  IF num_nonnulls(changed.transfer_amount_max, changed.hour_amount_max, changed.hour_count_max, changed.day_amount_max,
                  changed.day_count_max, changed.total_amount_max) = 0 THEN
    outcome := 'no_maximum'; RETURN;
  END IF;
  IF p_accounts IS NOT NULL THEN
    SELECT u.no, CASE WHEN a.id IS NULL THEN 'unknown_account' WHEN a.ledger <> changed.ledger THEN 'different_ledgers'
             ELSE 'too_many_account_limits' END
      INTO account_no, outcome
      FROM unnest(p_accounts) WITH ORDINALITY u(id, no) LEFT JOIN accounts a ON a.id = u.id AND a.owner = p_owner
     WHERE a.id IS NULL OR a.ledger <> changed.ledger
        OR (SELECT count(*) FROM limit_accounts m JOIN limits l ON l.id = m.limit_id AND l.owner = p_owner AND l.deleted_at IS NULL
             WHERE m.account_id = u.id AND l.set_by = changed.set_by AND l.id <> p_id) >= p_account_limits_max
     ORDER BY u.no LIMIT 1;
    IF outcome IS NOT NULL THEN RETURN; END IF;
    DELETE FROM limit_accounts WHERE limit_id = p_id AND account_id <> ALL (p_accounts);
    INSERT INTO limit_accounts SELECT p_id, unnest(p_accounts) ON CONFLICT DO NOTHING;
    changed.account_count := (SELECT count(*) FROM limit_accounts WHERE limit_id = p_id);
  END IF;

  IF p_is_new THEN
    INSERT INTO limits (id, owner, name, ledger, scope, counts, counts_internal, set_by, transfer_amount_max, hour_amount_max,
                        hour_count_max, day_amount_max, day_count_max, total_amount_max, account_count)
      VALUES (p_id, p_owner, changed.name, changed.ledger, changed.scope, changed.counts, changed.counts_internal, changed.set_by,
              changed.transfer_amount_max, changed.hour_amount_max, changed.hour_count_max, changed.day_amount_max,
              changed.day_count_max, changed.total_amount_max, coalesce(changed.account_count, 0));
    outcome := 'created';
  ELSE
    UPDATE limits SET name = changed.name, transfer_amount_max = changed.transfer_amount_max, hour_amount_max = changed.hour_amount_max,
           hour_count_max = changed.hour_count_max, day_amount_max = changed.day_amount_max, day_count_max = changed.day_count_max,
           total_amount_max = changed.total_amount_max, account_count = changed.account_count, revision = changed.revision
     WHERE id = p_id;
    outcome := 'changed';
    before := described_limit(former);
  END IF;
  after := described_limit(changed);
  IF p_accounts IS NOT NULL THEN
    after := after || jsonb_build_object(
      'addedAccountIds', ARRAY(SELECT unnest(p_accounts) EXCEPT SELECT unnest(former_accounts) ORDER BY 1),
      'removedAccountIds', ARRAY(SELECT unnest(former_accounts) EXCEPT SELECT unnest(p_accounts) ORDER BY 1));
  END IF;
END $$;
