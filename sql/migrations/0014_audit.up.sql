-- Who changed what. An entry is written in the transaction of its change. The sealer gives it a position and a seal
-- afterwards, which depends on the entry, on all before it, and on a key that is not in the database.
CREATE TABLE audit_entries (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  occurred_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  organization text NOT NULL,
  actor        jsonb NOT NULL,
  action       text NOT NULL,
  target_type  text NOT NULL,
  target_id    text NOT NULL,
  before       jsonb,
  after        jsonb,
  position     bigint UNIQUE,
  key_id       text,
  seal         bytea CHECK (length(seal) = 32),
  CHECK ((position IS NULL) = (seal IS NULL) AND (position IS NULL) = (key_id IS NULL))
);
CREATE INDEX audit_entries_of_organization ON audit_entries (organization, occurred_at, id);
CREATE INDEX audit_entries_by_action ON audit_entries (organization, action, occurred_at, id);
CREATE INDEX audit_entries_by_actor ON audit_entries (organization, (actor->>'id'), occurred_at, id);
CREATE INDEX audit_entries_by_target ON audit_entries (organization, target_id, occurred_at, id);
CREATE INDEX audit_entries_unsealed ON audit_entries (id) WHERE position IS NULL;

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF OLD.position IS NULL AND to_jsonb(OLD) - '{position,key_id,seal}'::text[] = to_jsonb(NEW) - '{position,key_id,seal}'::text[]
    THEN RETURN NEW; END IF;
  END IF;
  RAISE EXCEPTION 'audit entries are immutable' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_entries_immutable BEFORE UPDATE OR DELETE ON audit_entries
  FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_entries_not_truncated BEFORE TRUNCATE ON audit_entries
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
