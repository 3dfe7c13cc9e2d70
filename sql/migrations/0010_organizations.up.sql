-- An organization owns everything; its id is what stands in `owner` of all tables, word for word. There is no foreign key
-- yet: hosts of the release before create owners by creating their first key, which the trigger below follows.
CREATE TABLE organizations (
  id           text PRIMARY KEY CHECK (id <> ''),
  name         text NOT NULL,
  version      bigint NOT NULL DEFAULT 1,
  created_at   timestamptz NOT NULL DEFAULT now(),
  suspended_at timestamptz
);
CREATE INDEX organizations_by_age ON organizations (created_at, id);
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

-- No batch is under way from here on: it could hold one of the tables below while it waits for another.
SELECT pg_advisory_xact_lock(5703951129318914);
-- Lists of accounts are those of one organization.
CREATE INDEX accounts_by_owner ON accounts (owner, created_at, id);
-- Which other organizations may pay into the account: null for none, otherwise a list of their ids, or of '*' for all.
ALTER TABLE accounts ADD COLUMN accepts_from jsonb CHECK (jsonb_typeof(accepts_from) = 'array');

-- Whether owners are kept apart when accounts are read and paid from. Hosts of the release before do not know how, so it
-- is on where none can run, and elsewhere once an operator turns it on. Every batch reads this row already.
ALTER TABLE transfer_id_secret ADD COLUMN isolates_owners boolean NOT NULL DEFAULT false;
UPDATE transfer_id_secret SET isolates_owners = NOT EXISTS (SELECT FROM accounts) AND NOT EXISTS (SELECT FROM api_keys);
