-- number: 1
-- migration: 9
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Starts an upload like `begin_upload`, for an incarnation: if that dies, the upload ends before its lease expires.
CREATE OR REPLACE FUNCTION begin_held_upload(
  p_id uuid, p_owner text, p_name text, p_media_type text, p_size_bytes bigint, p_sha256 bytea, p_seconds double precision,
  p_max int, p_incarnation text
) RETURNS SETOF files LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM begin_upload(p_id, p_owner, p_name, p_media_type, p_size_bytes, p_sha256, p_seconds, p_max);
  IF NOT FOUND THEN RETURN; END IF;
  RETURN QUERY UPDATE files SET incarnation = p_incarnation WHERE id = p_id RETURNING *;
END $$;
