-- number: 1
-- migration: 8
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Derives the id of a transfer without the secret, as hosts of the release before do: from owner, key, and position.
CREATE OR REPLACE FUNCTION former_transfer_id(p_owner text, p_key text, p_index bigint) RETURNS uuid LANGUAGE sql STABLE AS $$
  SELECT as_uuid_v8(sha256(convert_to(p_owner, 'UTF8') || '\x00' || convert_to(p_key, 'UTF8') || '\x00'
    || convert_to(p_index::text, 'UTF8')))
$$;
