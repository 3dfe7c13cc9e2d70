-- number: 1
-- migration: 25
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Returns the terms under which an owner finds a transfer: see the migration. What a payer wrote is found by the payer only.
CREATE OR REPLACE FUNCTION transfer_terms_of(
  p_seed bigint, p_owner text, p_is_payer boolean, p_debit uuid, p_credit uuid, p_reference text, p_metadata jsonb
) RETURNS SETOF bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT search_term(p_seed, p_owner, f.field, f.value)
    FROM (VALUES ('', ''), ('debitAccountId', p_debit::text), ('creditAccountId', p_credit::text), ('reference', p_reference)
      UNION ALL SELECT 'metadata.' || key, value FROM jsonb_each_text(p_metadata) WHERE p_is_payer) f(field, value)
   WHERE f.value IS NOT NULL
$$;
