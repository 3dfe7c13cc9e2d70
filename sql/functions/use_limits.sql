-- number: 1
-- migration: 24
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Counts a movement that `post_movements` would post, or with the sign -1 undoes that: returns the outcome, and the changes of what
-- is used. Reversals do not count. A hold counts when it is made, and gives back what it releases. The credit of an account of
-- others counts when it is paid, as what others hold costs them nothing.
--
-- It is handed arrays that it only reads, and returns short ones: long ones would be copied for each item of a batch.
CREATE OR REPLACE FUNCTION use_limits(
  -- As in `limit_set`.
  p_most bigint[], p_used bigint[], p_rules int[], p_a_from int[], p_a_limit int[], p_h_from int[], p_h_limit int[], p_h_current int[],
  p_sign int, p_kind text, p_debit int, p_credit int, p_amount bigint,
  -- What its hold reserves, and whether it keeps what this does not post.
  p_remaining bigint, p_keeps_rest boolean,
  -- The number of the hold, whether it was stored before this batch, whether it has used the limits of the account that it
  -- credits, and what it has posted before.
  p_hold int, p_is_stored boolean, p_reserves boolean, p_posted bigint,
  p_is_own boolean, p_is_atomic boolean,
  OUT outcome text,
  -- Whether a limit of others would be exceeded. In an atomic request, that shows only if nothing else is refused.
  OUT is_full boolean,
  -- The limit of its own organization that would be exceeded, by number.
  OUT exceeded int,
  -- Pairs of an element of what is used, and what is added to it.
  OUT changes bigint[]
) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  takes boolean := p_kind = 'transfer' OR p_kind = 'hold' OR (p_kind = 'post' AND NOT p_reserves);
  -- A void ends that a hold counts, unless some of it was posted.
  uncounted int := CASE WHEN p_kind = 'void' AND p_posted = 0 THEN p_sign ELSE 0 END;
  released bigint := p_sign * CASE WHEN p_kind = 'void' THEN p_remaining WHEN p_kind = 'post' AND NOT p_keeps_rest THEN p_remaining - p_amount ELSE 0 END;
  taken bigint := p_sign * p_amount;
  counted int[] := '{}'; of_others int[]; l int; b int;
BEGIN
  is_full := false; outcome := 'posted'; changes := '{}';
  IF takes THEN
    counted := counted_limits(p_rules, p_a_from, p_a_limit, p_debit, p_credit, p_kind <> 'post', p_kind <> 'hold' OR p_reserves);
    IF p_sign > 0 THEN
      IF NOT p_is_own THEN of_others := counted_limits(p_rules, p_a_from, p_a_limit, p_debit, p_credit, false, true); END IF;
      FOREACH l IN ARRAY counted LOOP
        b := (l - 1) * 6;
        IF p_amount > p_most[b + 1] OR p_used[b + 2] > p_most[b + 2] - p_amount OR p_used[b + 3] >= p_most[b + 3]
           OR p_used[b + 4] > p_most[b + 4] - p_amount OR p_used[b + 5] >= p_most[b + 5] OR p_used[b + 6] > p_most[b + 6] - p_amount THEN
          IF p_is_own OR l <> ALL (of_others) THEN
            outcome := 'limit_exceeded'; exceeded := l; is_full := false;
            RETURN;
          END IF;
          is_full := true;
        END IF;
      END LOOP;
      IF is_full AND NOT p_is_atomic THEN outcome := 'unknown_account'; RETURN; END IF;
    END IF;
  END IF;

  IF released <> 0 THEN
    IF p_is_stored THEN
      FOR x IN p_h_from[p_hold]..p_h_from[p_hold + 1] - 1 LOOP
        b := (p_h_limit[x] - 1) * 6;
        IF p_h_current[x] & 1 > 0 THEN changes := changes || ARRAY[b + 2, -released, b + 3, -uncounted]; END IF;
        IF p_h_current[x] & 2 > 0 THEN changes := changes || ARRAY[b + 4, -released, b + 5, -uncounted]; END IF;
        changes := changes || ARRAY[b + 6, -released];
      END LOOP;
    ELSE
      FOREACH l IN ARRAY counted_limits(p_rules, p_a_from, p_a_limit, p_debit, p_credit, true, p_reserves) LOOP
        b := (l - 1) * 6;
        changes := changes || ARRAY[b + 2, -released, b + 3, -uncounted, b + 4, -released, b + 5, -uncounted, b + 6, -released];
      END LOOP;
    END IF;
  END IF;
  FOREACH l IN ARRAY counted LOOP
    b := (l - 1) * 6;
    changes := changes || ARRAY[b + 2, taken, b + 3, p_sign, b + 4, taken, b + 5, p_sign, b + 6, taken];
  END LOOP;
END $$;
