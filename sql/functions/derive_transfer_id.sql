-- number: 1
-- migration: 8
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Derives the id of a transfer from its former id and the secret, as every host of this release does.
CREATE OR REPLACE FUNCTION derive_transfer_id(p_secret bytea, p_former uuid) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT as_uuid_v8(sha256(p_secret || uuid_send(p_former)))
$$;
