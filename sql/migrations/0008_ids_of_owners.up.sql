-- What the ids of transfers are derived with, so that nobody can compute those of others beforehand. The API never
-- returns it. `has_former_ids`: there may be transfers under ids that were derived without it. Such ids are not looked
-- for if nobody can have posted yet.
CREATE TABLE transfer_id_secret (
  is_only        boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  secret         bytea NOT NULL CHECK (length(secret) = 32),
  has_former_ids boolean NOT NULL
);
INSERT INTO transfer_id_secret (secret, has_former_ids) VALUES (
  sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())),
  EXISTS (SELECT FROM transfers) OR EXISTS (SELECT FROM api_keys));

-- The key of an event is the id of its account, file or webhook, so these must differ across kinds. Ids of files and
-- webhooks are in a range of their own (src/utils/reserved-id.ts). Here are those outside of it: of releases before.
CREATE TABLE reserved_ids (id uuid PRIMARY KEY);

-- Hosts of the release before create files and webhooks too. The condition is the range.
CREATE FUNCTION reserve_id() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO reserved_ids VALUES (NEW.id) ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER files_reserve_id AFTER INSERT ON files
  FOR EACH ROW WHEN (NEW.id::text !~ '^.{14}8a71-a50') EXECUTE FUNCTION reserve_id();
CREATE TRIGGER webhooks_reserve_id AFTER INSERT ON webhooks
  FOR EACH ROW WHEN (NEW.id::text !~ '^.{14}8a71-a50') EXECUTE FUNCTION reserve_id();

-- Deleted ones are known by their events: here by those that are not in the log yet.
INSERT INTO reserved_ids
  SELECT id FROM files UNION SELECT id FROM webhooks
  UNION SELECT key::uuid FROM (
    SELECT key, type FROM outbox WHERE key IS NOT NULL UNION ALL SELECT key, type FROM parked_events) unsent
   WHERE type NOT LIKE 'account.%' AND key ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';

-- Skips the row of an account under an id that a file or webhook has, had, or may get: its events would continue theirs.
-- A trigger, so that it holds for hosts of the release before. An account that exists is not affected.
CREATE FUNCTION refuse_reserved_id() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.id::text ~ '^.{14}8a71-a50' OR EXISTS (SELECT FROM reserved_ids WHERE id = NEW.id)
     -- Of a file or webhook that was deleted before this migration, only the events are left.
     OR EXISTS (SELECT FROM events WHERE key = NEW.id::text) THEN
    RETURN NULL;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER accounts_refuse_reserved_id BEFORE INSERT ON accounts
  FOR EACH ROW EXECUTE FUNCTION refuse_reserved_id();
