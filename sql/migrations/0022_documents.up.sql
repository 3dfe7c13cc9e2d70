-- Documents of accounts, such as what is known about a customer, each with a JSON Schema that its organization has chosen.
-- A trigger on accounts needs the lock of posting first, like every change of that table. Nothing here reads its rows.
SELECT pg_advisory_xact_lock(5703951129318914);

-- The schemas of a kind of documents. A row is a version, and immutable: documents name the one they were checked with.
CREATE TABLE document_kinds (
  owner      text NOT NULL,
  kind       text NOT NULL CHECK (kind ~ '^[a-z][a-z0-9-]{0,62}$'),
  version    integer NOT NULL CHECK (version BETWEEN 1 AND 100),
  title      text,
  -- Not jsonb, which would sort its members.
  schema     json NOT NULL,
  -- Of the title and the schema as canonical JSON.
  sha256     bytea NOT NULL CHECK (length(sha256) = 32),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (owner, kind, version)
);
CREATE TRIGGER document_kinds_immutable BEFORE UPDATE OR DELETE ON document_kinds
  FOR EACH ROW EXECUTE PROCEDURE refuse_change();
CREATE TRIGGER document_kinds_not_truncated BEFORE TRUNCATE ON document_kinds
  FOR EACH STATEMENT EXECUTE PROCEDURE refuse_change();

CREATE TABLE documents (
  -- The key of its events, in the range of reserved ids.
  id         uuid PRIMARY KEY CHECK (id::text ~ '^.{14}8a71-a505'),
  account_id uuid NOT NULL,
  kind       text NOT NULL,
  -- The owner of the account; a trigger moves both together.
  owner      text NOT NULL,
  -- The newest.
  version    integer NOT NULL CHECK (version >= 1),
  -- What it takes of the bytes of its owner, with its history.
  bytes      bigint NOT NULL,
  -- The newest content, as the only member of an object, named SEARCHED_AS/KIND: so entries of the index below belong to one
  -- owner and kind, and no search has to skip what others have. Null once it is deleted.
  searched   jsonb,
  UNIQUE (account_id, kind)
);
CREATE INDEX documents_by_kind ON documents (owner, kind, account_id) WHERE searched IS NOT NULL;
-- Without a list of pending entries, which every search would read.
CREATE INDEX documents_by_content ON documents USING gin (searched jsonb_path_ops) WITH (fastupdate = off);
CREATE TRIGGER documents_permanent BEFORE DELETE ON documents FOR EACH ROW EXECUTE PROCEDURE refuse_change();
CREATE TRIGGER documents_not_truncated BEFORE TRUNCATE ON documents
  FOR EACH STATEMENT EXECUTE PROCEDURE refuse_change();

CREATE TABLE document_versions (
  document_id  uuid NOT NULL,
  version      integer NOT NULL CHECK (version >= 1),
  -- All null: the document was deleted.
  content      jsonb,
  sha256       bytea CHECK (length(sha256) = 32),
  size_bytes   integer,
  kind_version integer,
  -- Whose version of the kind that is.
  kind_owner   text,
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (document_id, version),
  CHECK (num_nulls(content, sha256, size_bytes, kind_version, kind_owner) IN (0, 5))
);
CREATE TRIGGER document_versions_immutable BEFORE UPDATE OR DELETE ON document_versions
  FOR EACH ROW EXECUTE PROCEDURE refuse_change();
CREATE TRIGGER document_versions_not_truncated BEFORE TRUNCATE ON document_versions
  FOR EACH STATEMENT EXECUTE PROCEDURE refuse_change();

-- What the documents and schemas of an owner take. Whoever writes one locks this row first, so writes of an owner are one
-- after the other.
CREATE TABLE document_usage (
  owner text PRIMARY KEY,
  bytes bigint NOT NULL DEFAULT 0 CHECK (bytes >= 0),
  -- The owner in the index of contents, and never shown. The index has hashes of 32 bits that can be inverted: whoever knew
  -- the names of others could choose texts that all their searches would read.
  searched_as uuid NOT NULL DEFAULT gen_random_uuid()
);

-- Documents follow their account to another owner, also when a host of the release before moves it.
CREATE FUNCTION move_documents() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE moved_bytes bigint; former_name text; new_name text;
BEGIN
  INSERT INTO document_usage (owner) SELECT unnest(ARRAY[OLD.owner, NEW.owner]) ON CONFLICT DO NOTHING;
  -- A document may just be written for the former owner.
  PERFORM FROM document_usage WHERE owner IN (OLD.owner, NEW.owner) ORDER BY owner FOR UPDATE;
  SELECT searched_as INTO former_name FROM document_usage WHERE owner = OLD.owner;
  SELECT searched_as INTO new_name FROM document_usage WHERE owner = NEW.owner;
  WITH moved AS (
    UPDATE documents SET owner = NEW.owner,
      searched = CASE WHEN searched IS NOT NULL
        THEN jsonb_build_object(new_name || '/' || kind, searched -> (former_name || '/' || kind)) END
    WHERE account_id = NEW.id RETURNING bytes
  ) SELECT coalesce(sum(bytes), 0) INTO moved_bytes FROM moved;
  UPDATE document_usage SET bytes = bytes + CASE owner WHEN NEW.owner THEN moved_bytes ELSE -moved_bytes END
   WHERE owner IN (OLD.owner, NEW.owner) AND moved_bytes > 0;
  RETURN NULL;
END $$;
CREATE TRIGGER accounts_move_documents AFTER UPDATE OF owner ON accounts
  FOR EACH ROW WHEN (OLD.owner IS DISTINCT FROM NEW.owner) EXECUTE FUNCTION move_documents();
