-- number: 1
-- migration: 24
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Returns the limits, by number, that count a movement between two accounts: first those of the account that is debited.
CREATE OR REPLACE FUNCTION counted_limits(
  -- As in `limit_set`.
  p_rules int[], p_a_from int[], p_a_limit int[],
  p_debit int, p_credit int,
  -- Which sides of it count: the post of a hold has used the limits of the debit account before.
  p_with_debit boolean, p_with_credit boolean
) RETURNS int[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  of_debit int[] := '{}'; of_credit int[] := '{}';
  counted int[] := '{}';
  l int;
BEGIN
  FOR x IN p_a_from[p_debit]..p_a_from[p_debit + 1] - 1 LOOP of_debit := of_debit || p_a_limit[x]; END LOOP;
  FOR x IN p_a_from[p_credit]..p_a_from[p_credit + 1] - 1 LOOP of_credit := of_credit || p_a_limit[x]; END LOOP;
  IF p_with_debit THEN
    FOREACH l IN ARRAY of_debit LOOP
      IF p_rules[l] & 1 > 0 AND (p_rules[l] & 4 > 0 OR l <> ALL (of_credit)) THEN counted := counted || l; END IF;
    END LOOP;
  END IF;
  IF p_with_credit THEN
    FOREACH l IN ARRAY of_credit LOOP
      IF p_rules[l] & 2 > 0 AND (l <> ALL (of_debit) OR (p_rules[l] & 4 > 0 AND p_rules[l] & 1 = 0)) THEN counted := counted || l; END IF;
    END LOOP;
  END IF;
  RETURN counted;
END $$;
