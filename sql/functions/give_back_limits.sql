-- number: 1
-- migration: 24
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Gives back what pending holds have used of limits, for `expire_holds`, which has locked them and their accounts.
CREATE OR REPLACE FUNCTION give_back_limits(p_hold uuid[]) RETURNS void LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM limit_reservations WHERE hold_id = ANY (p_hold)) THEN RETURN; END IF;
  PERFORM FROM limits WHERE id IN (SELECT limit_id FROM limit_reservations WHERE hold_id = ANY (p_hold)) ORDER BY id FOR NO KEY UPDATE;
  UPDATE limits l
     SET hour_amount = l.hour_amount - x.hour_amount, hour_count = l.hour_count - x.hour_count,
         day_amount = l.day_amount - x.day_amount, day_count = l.day_count - x.day_count, total_amount = l.total_amount - x.amount
    FROM (SELECT r.limit_id, sum(h.amount - h.posted)::bigint AS amount,
                 coalesce(sum(h.amount - h.posted) FILTER (WHERE r.hour_starts_at = c.hour_starts_at), 0)::bigint AS hour_amount,
                 count(*) FILTER (WHERE r.hour_starts_at = c.hour_starts_at AND h.posted = 0) AS hour_count,
                 coalesce(sum(h.amount - h.posted) FILTER (WHERE r.day_starts_at = c.day_starts_at), 0)::bigint AS day_amount,
                 count(*) FILTER (WHERE r.day_starts_at = c.day_starts_at AND h.posted = 0) AS day_count
            FROM limit_reservations r JOIN holds h ON h.id = r.hold_id JOIN limits c ON c.id = r.limit_id
           WHERE r.hold_id = ANY (p_hold) GROUP BY r.limit_id) x
   WHERE l.id = x.limit_id AND l.deleted_at IS NULL;
  DELETE FROM limit_reservations WHERE hold_id = ANY (p_hold);
END $$;
