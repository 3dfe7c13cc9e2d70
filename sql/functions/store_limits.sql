-- number: 1
-- migration: 24
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Writes what `post_movements` has used of limits, and which of its holds have used some: for what they release.
CREATE OR REPLACE FUNCTION store_limits(
  p_limits limit_set, p_used bigint[],
  -- By hold, as it is in the end. `p_hold_item`: the item that made it.
  p_hold uuid[], p_hold_item int[], p_hold_debit int[], p_hold_credit int[], p_hold_state text[], p_hold_reserves boolean[]
) RETURNS void LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
BEGIN
  UPDATE limits l
     SET hour_starts_at = x.hour, hour_amount = x.used[2], hour_count = x.used[3],
         day_starts_at = x.day, day_amount = x.used[4], day_count = x.used[5], total_amount = x.used[6]
    FROM (SELECT id, hour, day, p_used[no * 6 - 5:no * 6] AS used, p_limits.used[no * 6 - 5:no * 6] AS before
            FROM unnest(p_limits.ids, p_limits.hours, p_limits.days) WITH ORDINALITY u(id, hour, day, no)) x
   WHERE l.id = x.id AND x.used <> x.before;
  IF p_hold IS NULL THEN RETURN; END IF;
  INSERT INTO limit_reservations (hold_id, limit_id, hour_starts_at, day_starts_at)
    SELECT h.id, p_limits.ids[l], p_limits.hours[l], p_limits.days[l]
      FROM unnest(p_hold, p_hold_item, p_hold_debit, p_hold_credit, p_hold_state, p_hold_reserves) h(id, item, debit, credit, state, reserves)
     CROSS JOIN unnest(counted_limits(p_limits.rules, p_limits.a_from, p_limits.a_limit, h.debit, h.credit, true, h.reserves)) l
     WHERE h.item IS NOT NULL AND h.state = 'pending';
  DELETE FROM limit_reservations WHERE hold_id = ANY (ARRAY(
    SELECT id FROM unnest(p_hold, p_hold_item, p_hold_state) h(id, item, state) WHERE item IS NULL AND state <> 'pending'));
END $$;
