-- number: 1
-- migration: 8
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Returns the first 16 bytes of a digest as a UUIDv8 (RFC 9562), as src/features/ledger/transfers/transfer-ids.ts does.
CREATE OR REPLACE FUNCTION as_uuid_v8(p_digest bytea) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT encode(set_byte(set_byte(substr(p_digest, 1, 16), 6, get_byte(p_digest, 6) & 15 | 128),
                         8, get_byte(p_digest, 8) & 63 | 128), 'hex')::uuid
$$;
