-- The processes that hold leases, each renewed every second. A lease names its holder, so it ends when the holder does,
-- and not only when its own time is up. A row that is deleted, or not renewed, frees everything that its process held.
CREATE TABLE incarnations (
  id         text PRIMARY KEY,
  expires_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- The epoch says whether `incarnation` is the present holder: a host of the release before sets neither.
ALTER TABLE relay ADD COLUMN incarnation text, ADD COLUMN incarnation_epoch bigint;
-- Null for what a host of the release before has claimed or started: its lease ends when its time is up.
ALTER TABLE files ADD COLUMN incarnation text;
ALTER TABLE webhook_deliveries ADD COLUMN incarnation text;

-- The bytes that are signed and sent for an event, once for all webhooks of its owner. A delivery of the release before
-- has its own.
CREATE TABLE webhook_bodies (
  owner      text NOT NULL,
  event_id   text NOT NULL,
  body       text NOT NULL,
  -- When a delivery last came to need it.
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (owner, event_id)
);
CREATE INDEX webhook_bodies_by_age ON webhook_bodies (created_at);
ALTER TABLE webhook_deliveries ALTER COLUMN body DROP NOT NULL;

-- Everything up to this position was deleted after its retention. A scan of `events` starts here, and not among the
-- deleted rows that are not vacuumed yet.
CREATE TABLE log_start (
  is_only  boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  position bigint NOT NULL DEFAULT 0
);
INSERT INTO log_start DEFAULT VALUES;
-- Up to where the events of each owner were deleted after their retention. A reader that is behind has missed some.
CREATE TABLE forgotten_events (
  owner       text PRIMARY KEY,
  position    bigint NOT NULL,
  occurred_at timestamptz NOT NULL
);
-- Up to which sequence the events of each key were deleted, so that a gap is still noticed and no transfer lacks its
-- events.
CREATE TABLE forgotten_keys (
  key      text PRIMARY KEY,
  sequence bigint NOT NULL
);

-- Events are facts. Only their retention deletes them: see sql/functions/forget_events.sql.
DROP TRIGGER events_immutable ON events;
CREATE TRIGGER events_immutable BEFORE UPDATE ON events FOR EACH ROW EXECUTE PROCEDURE refuse_change();
CREATE TRIGGER events_retained BEFORE DELETE ON events FOR EACH ROW
  WHEN (current_setting('atlas.forgets_events', true) IS DISTINCT FROM 'on') EXECUTE PROCEDURE refuse_change();
