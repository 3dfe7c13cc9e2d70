-- number: 1
-- migration: 27
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Locks all trees of accounts of an owner until the transaction ends, and returns whether it did: it does not if another
-- transaction has the lock and `p_waits` is false. Take it before the rows of accounts, so that nobody who waits for it
-- holds up payments. The hash cannot be inverted: owners choose names, and all advisory locks share one space of numbers.
CREATE OR REPLACE FUNCTION lock_account_tree(p_owner text, p_waits boolean) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  no bigint := ('x' || substr(encode(sha256(convert_to('account tree ' || p_owner, 'UTF8')), 'hex'), 1, 16))::bit(64)::bigint;
BEGIN
  IF NOT p_waits THEN RETURN pg_try_advisory_xact_lock(no); END IF;
  PERFORM pg_advisory_xact_lock(no);
  RETURN true;
END $$;
