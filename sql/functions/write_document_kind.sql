-- number: 1
-- migration: 22
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Writes the next version of a kind of documents. `p_expected` has the versions that it may follow: null if there must be
-- none. `p_any`: whichever there is.
CREATE OR REPLACE FUNCTION write_document_kind(
  p_owner text, p_kind text, p_expected bigint[], p_any boolean, p_title text, p_schema json, p_sha256 bytea, p_size int,
  p_kinds_max int, p_versions_max int, p_bytes_max bigint,
  -- created, changed, unchanged, or why it was not written.
  OUT outcome text, OUT version int, OUT created_at timestamptz
) LANGUAGE plpgsql AS $$
DECLARE
  overhead CONSTANT bigint := 1024;
  used bigint;
  newest document_kinds;
BEGIN
  INSERT INTO document_usage (owner) VALUES (p_owner) ON CONFLICT DO NOTHING;
  SELECT u.bytes INTO used FROM document_usage u WHERE u.owner = p_owner FOR UPDATE;
  SELECT * INTO newest FROM document_kinds k WHERE k.owner = p_owner AND k.kind = p_kind ORDER BY k.version DESC LIMIT 1;
  IF newest.sha256 = p_sha256 THEN
    outcome := 'unchanged'; version := newest.version; created_at := newest.created_at; RETURN;
  ELSIF newest.version IS NULL AND (p_any OR p_expected IS NOT NULL) THEN outcome := 'precondition_failed'; RETURN;
  ELSIF newest.version IS NOT NULL AND NOT p_any AND p_expected IS NULL THEN
    outcome := 'precondition_required'; RETURN;
  ELSIF NOT p_any AND NOT newest.version = ANY (p_expected) THEN outcome := 'precondition_failed'; RETURN;
  ELSIF newest.version IS NULL AND p_kinds_max <=
     (SELECT count(*) FROM document_kinds k WHERE k.owner = p_owner AND k.version = 1) THEN
    outcome := 'too_many_document_kinds'; RETURN;
  ELSIF newest.version >= p_versions_max THEN outcome := 'too_many_document_versions'; RETURN;
  ELSIF used + overhead + p_size > p_bytes_max THEN outcome := 'document_storage_full'; RETURN;
  END IF;
  outcome := CASE WHEN newest.version IS NULL THEN 'created' ELSE 'changed' END;
  version := coalesce(newest.version, 0) + 1;
  INSERT INTO document_kinds AS k (owner, kind, version, title, schema, sha256)
  VALUES (p_owner, p_kind, version, p_title, p_schema, p_sha256) RETURNING k.created_at INTO created_at;
  UPDATE document_usage u SET bytes = u.bytes + overhead + p_size WHERE u.owner = p_owner;
END $$;
