-- number: 1
-- migration: 22
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Writes the next version of a document, or deletes it if `p_content` is null. `p_expected` has the versions that it may
-- replace: null if there must be none, or for a deletion any, and an empty list for none at all. `p_any`: whichever there is.
CREATE OR REPLACE FUNCTION write_document(
  p_owner text, p_account uuid, p_kind text, p_id uuid, p_expected bigint[], p_any boolean,
  p_kind_version int, p_content jsonb, p_sha256 bytea, p_size int,
  p_documents_max int, p_versions_max int, p_bytes_max bigint,
  -- created, changed, deleted, unchanged, or why it was not written.
  OUT outcome text, OUT id uuid, OUT version int, OUT created_at timestamptz
) LANGUAGE plpgsql AS $$
DECLARE
  -- About what a version takes besides its content.
  overhead CONSTANT bigint := 1024;
  used bigint;
  owner_name text;
  present documents;
  newest document_versions;
  is_current boolean;
  needed bigint := overhead + coalesce(p_size, 0);
  kind_version int;
BEGIN
  INSERT INTO document_usage (owner) VALUES (p_owner) ON CONFLICT DO NOTHING;
  SELECT u.bytes, u.searched_as INTO used, owner_name FROM document_usage u WHERE u.owner = p_owner FOR UPDATE;
  IF NOT EXISTS (SELECT FROM accounts a WHERE a.id = p_account AND a.owner = p_owner) THEN
    outcome := 'account_not_found'; RETURN;
  END IF;
  SELECT * INTO present FROM documents d WHERE d.account_id = p_account AND d.kind = p_kind;
  is_current := present.searched IS NOT NULL;
  id := coalesce(present.id, p_id);
  version := present.version;
  IF p_content IS NOT NULL THEN
    SELECT max(k.version) INTO kind_version FROM document_kinds k WHERE k.owner = p_owner AND k.kind = p_kind;
    IF kind_version IS DISTINCT FROM p_kind_version THEN outcome := 'kind_changed'; RETURN; END IF;
    SELECT * INTO newest FROM document_versions v WHERE v.document_id = present.id AND v.version = present.version;
    -- Sent again, or by two at once: what was asked for has been done.
    IF newest.sha256 = p_sha256 AND newest.kind_version = p_kind_version AND newest.kind_owner = p_owner THEN
      outcome := 'unchanged'; created_at := newest.created_at; RETURN;
    END IF;
  ELSIF NOT is_current THEN
    outcome := 'document_not_found'; RETURN;
  END IF;
  IF NOT p_any AND p_expected IS NULL AND is_current AND p_content IS NOT NULL THEN
    outcome := 'precondition_required'; RETURN;
  ELSIF (p_any OR p_expected IS NOT NULL) AND NOT is_current
     OR NOT p_any AND NOT present.version = ANY (p_expected) THEN
    outcome := 'precondition_failed'; RETURN;
  END IF;
  IF p_content IS NOT NULL THEN
    IF present.id IS NULL AND p_documents_max <= (SELECT count(*) FROM documents d WHERE d.account_id = p_account) THEN
      outcome := 'too_many_documents'; RETURN;
    ELSIF present.version >= p_versions_max THEN outcome := 'too_many_document_versions'; RETURN;
    ELSIF used + needed > p_bytes_max THEN outcome := 'document_storage_full'; RETURN;
    END IF;
  END IF;

  version := coalesce(present.version, 0) + 1;
  outcome := CASE WHEN p_content IS NULL THEN 'deleted' WHEN is_current THEN 'changed' ELSE 'created' END;
  INSERT INTO documents AS d (id, account_id, kind, owner, version, bytes, searched)
  VALUES (p_id, p_account, p_kind, p_owner, 1, needed, jsonb_build_object(owner_name || '/' || p_kind, p_content))
  ON CONFLICT (account_id, kind) DO UPDATE SET version = write_document.version, bytes = d.bytes + needed,
    searched = CASE WHEN p_content IS NOT NULL THEN excluded.searched END;
  INSERT INTO document_versions AS v (document_id, version, content, sha256, size_bytes, kind_version, kind_owner)
  VALUES (id, version, p_content, p_sha256, p_size, p_kind_version, CASE WHEN p_content IS NOT NULL THEN p_owner END)
  RETURNING v.created_at INTO created_at;
  UPDATE document_usage u SET bytes = u.bytes + needed WHERE u.owner = p_owner;
END $$;
