-- number: 1
-- migration: 5
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Starts an upload unless its owner already has `p_max` in progress. One call per owner at a time, so the count is exact.
CREATE OR REPLACE FUNCTION begin_upload(
  p_id uuid, p_owner text, p_name text, p_media_type text, p_size_bytes bigint, p_sha256 bytea, p_seconds double precision,
  p_max int
) RETURNS SETOF files LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(1179208773, hashtext(p_owner));
  RETURN QUERY
    INSERT INTO files (id, owner, state, name, media_type, size_bytes, sha256, expires_at)
    SELECT p_id, p_owner, 'uploading', p_name, p_media_type, p_size_bytes, p_sha256, now() + p_seconds * interval '1 second'
     WHERE (SELECT count(*) FROM files WHERE owner = p_owner AND state = 'uploading' AND expires_at > now()) < p_max
    RETURNING *;
END $$;
