-- Begins the keys of all objects of this database, so that two databases on one bucket never take each other's objects
-- for orphans.
CREATE TABLE object_realm (
  is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  realm   uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO object_realm DEFAULT VALUES;

-- What is known of each file; its bytes are the object <realm>/<id>. A row is written before its object and removed
-- after it, so an object without a row is nobody's.
--   uploading  its bytes are on their way; whoever brings them renews `expires_at`, and past that it is given up
--   stored     the bytes are there, and the event that says so is in the same transaction
--   deleting   nobody can read it any more; the object goes first, then the row
CREATE TABLE files (
  id         uuid PRIMARY KEY,
  owner      text NOT NULL CHECK (owner <> ''),
  state      text NOT NULL CHECK (state IN ('uploading', 'stored', 'deleting')),
  -- For people only: never part of a key or a path.
  name       text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 255),
  media_type text NOT NULL CHECK (length(media_type) <= 127),
  -- Null while the bytes come straight to Atlas; announced beforehand where they come by a link.
  size_bytes bigint CHECK (size_bytes > 0),
  sha256     bytea CHECK (length(sha256) = 32),
  -- The SHA-256 of each MiB, one after the other: a download checks each before it delivers it.
  chunks     bytea,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  CHECK ((size_bytes IS NULL) = (sha256 IS NULL)),
  CHECK (state <> 'uploading' OR (expires_at IS NOT NULL AND chunks IS NULL)),
  CHECK (state <> 'stored' OR (expires_at IS NULL AND sha256 IS NOT NULL AND chunks IS NOT NULL
    AND length(chunks) = 32 * ((size_bytes + 1048575) / 1048576)))
);
-- A hash cannot be compressed, and a part of a value that was not can be read without the rest.
ALTER TABLE files ALTER COLUMN chunks SET STORAGE EXTERNAL;
CREATE INDEX files_by_owner ON files (owner, id) WHERE state = 'stored';
CREATE INDEX files_uploading ON files (owner, expires_at) WHERE state = 'uploading';
CREATE INDEX files_deleting ON files (id) WHERE state = 'deleting';
CREATE INDEX files_expiring ON files (expires_at) WHERE state = 'uploading';

-- Begins an upload unless its owner has `p_max` under way. One at a time for each owner, so that they are counted exactly.
CREATE FUNCTION begin_upload(
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
