-- An organization owns everything; its id is what stands in `owner` of all tables, word for word. There is no foreign key
-- yet: hosts of the release before create owners by creating their first key, which the trigger below follows.
CREATE TABLE organizations (
  id           text PRIMARY KEY CHECK (id <> ''),
  name         text NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  suspended_at timestamptz
);
INSERT INTO organizations (id, name, created_at)
  SELECT owner, owner, min(created_at) FROM (
    SELECT owner, created_at FROM api_keys UNION ALL SELECT owner, created_at FROM accounts
    UNION ALL SELECT owner, created_at FROM webhooks UNION ALL SELECT owner, created_at FROM files) owned
   GROUP BY owner;

-- What a key opens: the data of its organization, its test space (see src/features/identity/organization-id.ts), or the
-- routes of operators. Hosts of the release before know the first kind only, and refuse the tokens of the others.
ALTER TABLE api_keys ADD COLUMN kind text NOT NULL DEFAULT 'live' CHECK (kind IN ('live', 'test', 'operator'));
CREATE FUNCTION add_organization() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO organizations (id, name) VALUES (NEW.owner, NEW.owner) ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER api_keys_add_organization AFTER INSERT ON api_keys
  FOR EACH ROW WHEN (NEW.kind <> 'operator') EXECUTE FUNCTION add_organization();
-- Of keys that were created between the first statement and the lock of the table.
INSERT INTO organizations (id, name, created_at)
  SELECT owner, owner, min(created_at) FROM api_keys GROUP BY owner ON CONFLICT DO NOTHING;
