-- Events in the log that a consumer has passed by, and handles later in turns of their owners: those of an owner that
-- would hold up the events of all others. `positions` is in order, and names events of one owner only.
CREATE TABLE deferred_events (
  consumer   text NOT NULL,
  owner      text NOT NULL,
  id         bigint GENERATED ALWAYS AS IDENTITY,
  positions  bigint[] NOT NULL CHECK (cardinality(positions) > 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (consumer, owner, id)
);
CREATE INDEX deferred_events_oldest ON deferred_events ((positions[1]));
