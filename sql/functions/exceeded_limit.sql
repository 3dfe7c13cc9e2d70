-- number: 1
-- migration: 24
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Returns the outcome of a movement that would exceed a limit of its own organization: the code, a space, and as JSON which
-- limit, and how much of it is left.
CREATE OR REPLACE FUNCTION exceeded_limit(
  p_id uuid, p_hour timestamptz, p_day timestamptz,
  -- As in `limit_set`, and the number of the limit.
  p_most bigint[], p_used bigint[], p_limit int,
  p_amount bigint
) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT 'limit_exceeded ' || json_build_object('id', p_id, 'name', l.name, 'maximum', b.name, 'max', b.most,
           'used', b.used, 'remaining', greatest(b.most - coalesce(b.used, 0), 0), 'resetsAt',
           to_char(b.resets_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))::text
    FROM (SELECT no, name, p_most[(p_limit - 1) * 6 + no] AS most,
                 CASE WHEN no > 1 THEN least(p_used[(p_limit - 1) * 6 + no], 9007199254740991) END AS used, takes, resets_at
            FROM (VALUES (1, 'transferAmount', p_amount, NULL::timestamptz),
                         (2, 'hourAmount', p_amount, p_hour + interval '1 hour'), (3, 'hourCount', 1, p_hour + interval '1 hour'),
                         (4, 'dayAmount', p_amount, p_day + interval '24 hours'), (5, 'dayCount', 1, p_day + interval '24 hours'),
                         (6, 'totalAmount', p_amount, NULL)) v(no, name, takes, resets_at)) b,
         limits l
   WHERE l.id = p_id AND coalesce(b.used, 0) + b.takes > b.most
   ORDER BY b.no LIMIT 1
$$;
