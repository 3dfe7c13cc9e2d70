-- number: 1
-- migration: 15
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Returns whether an account that accepts these organizations may be paid by this owner, which is not its own. A test space
-- pays another one only (src/features/identity/organization-id.ts), so that test and live money never meet.
CREATE OR REPLACE FUNCTION accepts_payer(p_accepts jsonb, p_payee text, p_payer text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
  SELECT p_accepts ?| ARRAY['*', regexp_replace(p_payer, '~test$', '')]
     AND (p_payee LIKE '%~test') = (p_payer LIKE '%~test')
$$;
