-- Imports of accounts, transfers, holds, and documents from a file. Only new tables, so payments do not wait.
CREATE TABLE imports (
  -- The key of its event, in the range of reserved ids.
  id           uuid PRIMARY KEY CHECK (id::text ~ '^.{14}8a71-a506'),
  owner        text NOT NULL CHECK (owner <> ''),
  -- The stored file. Null if a command imports a file of its host: nobody else can read that.
  file_id      uuid,
  file_name    text NOT NULL,
  sha256       bytea NOT NULL CHECK (length(sha256) = 32),
  size_bytes   bigint NOT NULL CHECK (size_bytes > 0),
  format       text NOT NULL CHECK (format IN ('csv', 'ndjson')),
  ids          text NOT NULL CHECK (ids IN ('keep', 'derive')),
  is_dry_run   boolean NOT NULL,
  -- Whether whoever created it may write documents and their kinds.
  has_documents boolean NOT NULL,
  actor        jsonb NOT NULL,
  state        text NOT NULL CHECK (state IN ('validating', 'posting', 'done', 'failed', 'canceled')),
  -- Where the phase goes on: the bytes that it has read, and the number of the next line.
  position     bigint NOT NULL DEFAULT 0 CHECK (position BETWEEN 0 AND size_bytes),
  next_line    bigint NOT NULL DEFAULT 1,
  -- Whether the file says that it is an export, and so must say where it ends, and whether it has.
  expects_end  boolean NOT NULL DEFAULT false,
  has_end      boolean NOT NULL DEFAULT false,
  -- Lines with content that were validated, and what became of them.
  lines        bigint NOT NULL DEFAULT 0,
  posted       bigint NOT NULL DEFAULT 0,
  existed      bigint NOT NULL DEFAULT 0,
  skipped      bigint NOT NULL DEFAULT 0,
  refused      bigint NOT NULL DEFAULT 0,
  failure      text,
  -- Whoever works on it is to stop.
  cancels      boolean NOT NULL DEFAULT false,
  -- The process that works on it. The token grows with each, so that one that lost it changes nothing.
  holder       text,
  token        bigint NOT NULL DEFAULT 0,
  -- When its last turn ended: imports take turns.
  turn_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at  timestamptz CHECK ((finished_at IS NULL) = (state IN ('validating', 'posting')))
);
-- Those of an organization are worked on one after the other.
CREATE INDEX imports_unfinished ON imports (owner, id) WHERE finished_at IS NULL;
-- A command cannot wait for another one.
CREATE UNIQUE INDEX imports_local ON imports (owner) WHERE finished_at IS NULL AND file_id IS NULL;
CREATE INDEX imports_by_owner ON imports (owner, id);

-- Why lines were refused, or are invalid: one reason for each.
CREATE TABLE import_refusals (
  import_id uuid NOT NULL REFERENCES imports ON DELETE CASCADE,
  line      bigint NOT NULL,
  -- The column or member at fault; null if it is the line.
  member    text,
  code      text NOT NULL,
  detail    text NOT NULL,
  PRIMARY KEY (import_id, line)
);
