-- number: 1
-- migration: 27
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Says why an account of this owner and ledger, new or not, cannot get a parent, or how deep in its tree it would be: a
-- root is at 1, and 8 is the deepest. It reads the ancestors alone, so what is below the account is left to the caller.
CREATE OR REPLACE FUNCTION check_account_parent(
  p_id uuid, p_owner text, p_ledger text, p_parent uuid,
  OUT refusal text, OUT depth int
) LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  depth_max CONSTANT int := 8;
  ancestor record;
  next uuid := p_parent;
BEGIN
  depth := 1;
  WHILE next IS NOT NULL LOOP
    SELECT a.owner, a.ledger, a.parent_id INTO ancestor FROM accounts a WHERE a.id = next AND a.owner = p_owner;
    depth := depth + 1;
    refusal := CASE
      WHEN NOT FOUND THEN 'parent_not_found'
      WHEN next = p_id THEN 'account_cycle'
      WHEN ancestor.ledger <> p_ledger THEN 'parent_ledger_differs'
      -- No tree is so deep. One step more than the depth finds every cycle.
      WHEN depth > depth_max + 1 THEN 'account_tree_too_deep' END;
    IF refusal IS NOT NULL THEN RETURN; END IF;
    next := ancestor.parent_id;
  END LOOP;
  IF depth > depth_max THEN refusal := 'account_tree_too_deep'; END IF;
END $$;
