-- number: 1
-- migration: 24
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Locks the limits that a batch may use, in the order of their ids, and returns them as `post_movements` needs them: those
-- that its accounts are under, and those that its stored holds have used. Null if there are none, as for nearly all.
CREATE OR REPLACE FUNCTION lock_limits(
  -- By account, as from `lock_accounts`.
  p_account uuid[], p_owner text[], p_ledger text[],
  p_hold uuid[], p_posted_at timestamptz
) RETURNS limit_set LANGUAGE plpgsql
-- For hundreds of items the planner prefers scanning whole tables to probing indexes.
SET enable_seqscan = off SET jit = off AS $$
DECLARE
  unlimited CONSTANT bigint := 1::bigint << 61;
  owners text[];
  found limit_set; a_no int[]; a_limit_id uuid[]; h_no int[]; h_limit_id uuid[]; h_hour timestamptz[]; h_day timestamptz[];
BEGIN
  IF NOT EXISTS (SELECT FROM limits WHERE deleted_at IS NULL) THEN RETURN NULL; END IF;
  owners := ARRAY(SELECT o.owner FROM (SELECT DISTINCT unnest(p_owner) AS owner) o
                   WHERE EXISTS (SELECT FROM limits l WHERE l.owner = o.owner AND l.deleted_at IS NULL));
  IF owners <> '{}' THEN
    SELECT array_agg(a.no ORDER BY a.no, a.id), array_agg(a.id ORDER BY a.no, a.id) INTO a_no, a_limit_id FROM (
      SELECT u.no::int AS no, l.id FROM unnest(p_owner, p_ledger) WITH ORDINALITY u(owner, ledger, no)
        JOIN limits l ON l.owner = u.owner AND l.ledger = u.ledger AND l.scope = 'organization' AND l.deleted_at IS NULL
       WHERE u.owner = ANY (owners)
      UNION ALL
      SELECT u.no::int, l.id FROM unnest(p_account, p_owner, p_ledger) WITH ORDINALITY u(id, owner, ledger, no)
        JOIN limit_accounts m ON m.account_id = u.id
        -- An account may have been given to another organization.
        JOIN limits l ON l.id = m.limit_id AND l.owner = u.owner AND l.ledger = u.ledger AND l.deleted_at IS NULL
       WHERE u.owner = ANY (owners)) a;
  END IF;
  IF p_hold IS NOT NULL THEN
    SELECT array_agg(u.no ORDER BY u.no), array_agg(r.limit_id ORDER BY u.no), array_agg(r.hour_starts_at ORDER BY u.no),
           array_agg(r.day_starts_at ORDER BY u.no)
      INTO h_no, h_limit_id, h_hour, h_day
      FROM unnest(p_hold) WITH ORDINALITY u(id, no) JOIN limit_reservations r ON r.hold_id = u.id;
  END IF;
  IF a_no IS NULL AND h_no IS NULL THEN RETURN NULL; END IF;

  -- In id order within each aggregate: the rows come in the order in which they were locked.
  SELECT array_agg(l.id), array_agg(l.hour), array_agg(l.day),
         array_agg(CASE l.counts WHEN 'debits' THEN 1 WHEN 'credits' THEN 2 ELSE 3 END + CASE WHEN l.counts_internal THEN 4 ELSE 0 END)
    INTO found.ids, found.hours, found.days, found.rules
    -- An hour never ends because a clock goes backwards.
    FROM (SELECT *, greatest(hour_starts_at, date_trunc('hour', p_posted_at, 'UTC')) AS hour,
                 greatest(day_starts_at, date_trunc('day', p_posted_at, 'UTC')) AS day
            FROM limits WHERE id = ANY (a_limit_id || h_limit_id) AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE) l;
  IF found.ids IS NULL THEN RETURN NULL; END IF;
  SELECT array_agg(coalesce(v.most, unlimited) ORDER BY u.no, v.no), array_agg(coalesce(v.used, 0) ORDER BY u.no, v.no)
    INTO found.most, found.used
    FROM unnest(found.ids, found.hours, found.days) WITH ORDINALITY u(id, hour, day, no)
    JOIN limits l ON l.id = u.id
   CROSS JOIN LATERAL (VALUES (1, l.transfer_amount_max, 0), (2, l.hour_amount_max, CASE WHEN u.hour = l.hour_starts_at THEN l.hour_amount END),
     (3, l.hour_count_max, CASE WHEN u.hour = l.hour_starts_at THEN l.hour_count END),
     (4, l.day_amount_max, CASE WHEN u.day = l.day_starts_at THEN l.day_amount END),
     (5, l.day_count_max, CASE WHEN u.day = l.day_starts_at THEN l.day_count END), (6, l.total_amount_max, l.total_amount)) v(no, most, used);

  -- By number. One may have been deleted meanwhile. In an ordered array, the bucket of a number is how many are not above it.
  SELECT coalesce(array_agg(no ORDER BY nth), '{}'), coalesce(array_agg(width_bucket(id, found.ids) ORDER BY nth), '{}')
    INTO a_no, found.a_limit
    FROM unnest(a_no, a_limit_id) WITH ORDINALITY u(no, id, nth) WHERE id = ANY (found.ids);
  SELECT coalesce(array_agg(no ORDER BY nth), '{}'), coalesce(array_agg(l ORDER BY nth), '{}'),
         coalesce(array_agg(CASE WHEN hour = found.hours[l] THEN 1 ELSE 0 END + CASE WHEN day = found.days[l] THEN 2 ELSE 0 END ORDER BY nth), '{}')
    INTO h_no, found.h_limit, found.h_current
    FROM (SELECT *, width_bucket(id, found.ids) AS l
            FROM unnest(h_no, h_limit_id, h_hour, h_day) WITH ORDINALITY u(no, id, hour, day, nth) WHERE id = ANY (found.ids)) u;
  found.a_from := ARRAY(SELECT width_bucket(n - 1, a_no) + 1 FROM generate_series(1, cardinality(p_account) + 1) n ORDER BY n);
  found.h_from := ARRAY(SELECT width_bucket(n - 1, h_no) + 1 FROM generate_series(1, cardinality(p_hold) + 1) n ORDER BY n);
  RETURN found;
END $$;
