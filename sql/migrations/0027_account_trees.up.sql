-- Accounts that change after they were opened: trees of accounts, events of changes, and templates to open many at once.
-- Takes the lock of posting first, as 0021 does. The index is the only thing here that reads the rows of a table, once and
-- without writing any of them, since no account has a parent yet. Payments wait for that: about as long as a sequential
-- scan of the accounts takes.
SELECT pg_advisory_xact_lock(5703951129318914);
CREATE INDEX accounts_by_parent ON accounts (parent_id, created_at, id) WHERE parent_id IS NOT NULL;

-- Accounts that were changed after they were opened. Beside their rows, which every payment writes.
CREATE TABLE changed_accounts (
  account_id     uuid PRIMARY KEY,
  -- The key of the events of its changes, in the range of reserved ids: those under its own id are numbered by its transfers.
  key            uuid NOT NULL UNIQUE CHECK (key::text ~ '^.{14}8a71-a50a'),
  -- Counts those events.
  changes        bigint NOT NULL CHECK (changes >= 1),
  -- Whether it no longer has the name or the metadata that it was opened with.
  is_redescribed boolean NOT NULL
);

-- Whoever gives an account a parent locks the trees of its owner first. So what is checked here stays true.
CREATE FUNCTION check_parent() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE refusal text;
BEGIN
  -- An account that is opened again is not opened, whatever has become of its parent.
  IF TG_OP = 'INSERT' AND EXISTS (SELECT FROM accounts WHERE id = NEW.id) THEN RETURN NEW; END IF;
  PERFORM lock_account_tree(NEW.owner, true);
  SELECT p.refusal INTO refusal FROM check_account_parent(NEW.id, NEW.owner, NEW.ledger, NEW.parent_id) p;
  IF refusal IS NOT NULL THEN RAISE EXCEPTION USING ERRCODE = 'AT001', MESSAGE = refusal; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER accounts_check_parent_of_new BEFORE INSERT ON accounts
  FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL) EXECUTE FUNCTION check_parent();
CREATE TRIGGER accounts_check_parent BEFORE UPDATE OF parent_id ON accounts
  FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL AND NEW.parent_id IS DISTINCT FROM OLD.parent_id)
  EXECUTE FUNCTION check_parent();

-- All accounts of a tree have one owner, also when a host of the release before moves one. Its row is locked here, so this
-- does not wait for the lock of the trees: the command is retried.
CREATE FUNCTION refuse_to_leave_tree() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT lock_account_tree(OLD.owner, false) THEN
    RAISE EXCEPTION 'a tree of accounts of % is being changed', OLD.owner USING ERRCODE = 'serialization_failure';
  END IF;
  IF OLD.parent_id IS NOT NULL OR EXISTS (SELECT FROM accounts WHERE parent_id = OLD.id) THEN
    RAISE EXCEPTION 'account % has a parent or children', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER accounts_stay_in_tree BEFORE UPDATE OF owner ON accounts
  FOR EACH ROW WHEN (OLD.owner IS DISTINCT FROM NEW.owner) EXECUTE FUNCTION refuse_to_leave_tree();

-- Named charts of accounts. `accounts`: a list in which parents come before their children.
CREATE TABLE account_templates (
  owner      text NOT NULL,
  name       text NOT NULL CHECK (name ~ '^[a-z][a-z0-9-]{0,62}$'),
  version    bigint NOT NULL CHECK (version >= 1),
  title      text,
  -- Not jsonb, which would sort the members.
  accounts   json NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (owner, name)
);
