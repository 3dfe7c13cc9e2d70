-- number: 2
-- migration: 22
-- Raise the number with each change. For changed arguments or results add a function with a new name, and keep this one
-- for a release: hosts of the release before still call it.
--
-- Returns current documents of a kind, by account, and all that contain `p_contains` if it is not null. It examines at most
-- `p_examined_max` documents: those that the index finds if they are few enough, and otherwise the next ones by account.
-- Then the last row says that more were not examined, and is none of the result unless it matches.
-- PostgreSQL compares all that the index finds, which can be many that do not match: the caller bounds the time, and then
-- asks for the next ones by account, without the index.
CREATE OR REPLACE FUNCTION find_documents(
  p_owner text, p_kind text, p_contains jsonb, p_after uuid, p_limit int, p_examined_max int,
  p_uses_index boolean,
  OUT document_id uuid, OUT account_id uuid, OUT matches boolean, OUT has_more boolean
) RETURNS SETOF record LANGUAGE plpgsql STABLE
-- The planner does not know how many documents contain something, and would rather read those of all owners.
SET enable_seqscan = off AS $$
DECLARE
  wanted jsonb;
  candidates int;
BEGIN
  IF p_contains IS NULL THEN
    RETURN QUERY SELECT d.id, d.account_id, true, false FROM documents d
      WHERE d.owner = p_owner AND d.kind = p_kind AND d.searched IS NOT NULL AND (p_after IS NULL OR d.account_id > p_after)
      ORDER BY d.account_id LIMIT p_limit;
    RETURN;
  END IF;
  SELECT jsonb_build_object(u.searched_as::text || '/' || p_kind, p_contains) INTO wanted FROM document_usage u WHERE u.owner = p_owner;
  IF NOT FOUND THEN RETURN; END IF;
  IF p_uses_index THEN
    SELECT count(*) INTO candidates FROM (SELECT FROM documents d WHERE d.searched @> wanted LIMIT p_examined_max + 1) few;
  END IF;
  IF candidates <= p_examined_max THEN
    -- Materialized, so that no index on the order is read from its start.
    RETURN QUERY WITH found AS MATERIALIZED (SELECT d.id, d.account_id FROM documents d WHERE d.searched @> wanted)
      SELECT f.id, f.account_id, true, false FROM found f WHERE p_after IS NULL OR f.account_id > p_after
      ORDER BY f.account_id LIMIT p_limit;
    RETURN;
  END IF;
  RETURN QUERY WITH examined AS MATERIALIZED (
      SELECT d.id, d.account_id, d.searched FROM documents d
      WHERE d.owner = p_owner AND d.kind = p_kind AND d.searched IS NOT NULL AND (p_after IS NULL OR d.account_id > p_after)
      ORDER BY d.account_id LIMIT p_examined_max
    ), numbered AS (
      SELECT e.*, e.searched @> wanted AS is_match, row_number() OVER (ORDER BY e.account_id) = p_examined_max AS is_last
      FROM examined e
    ) SELECT n.id, n.account_id, n.is_match, n.is_last FROM numbered n WHERE n.is_match OR n.is_last
      ORDER BY n.account_id LIMIT p_limit;
END $$;
