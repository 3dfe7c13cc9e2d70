-- History of accounts. Adds tables only: nothing here reads a table or waits for payments.

-- The entries of an account that took effect at another time than they were recorded. An entry is a transfer as seen by one
-- of its accounts, and has the number of its version there.
CREATE TABLE effective_entries (
  account_id   uuid NOT NULL,
  version      bigint NOT NULL,
  -- In whole milliseconds.
  effective_at timestamptz NOT NULL,
  -- What it added to the balance: below 0 for a debit.
  net          bigint NOT NULL,
  -- The sum over this row and those of the account before it, in version order.
  net_so_far   bigint NOT NULL,
  PRIMARY KEY (account_id, version)
);
CREATE INDEX effective_entries_by_time ON effective_entries (account_id, effective_at, version);
CREATE TRIGGER effective_entries_immutable BEFORE UPDATE OR DELETE ON effective_entries
  FOR EACH ROW EXECUTE PROCEDURE refuse_change();

-- The same entries, summed up in buckets of 2^level milliseconds. The sum up to any moment takes at most 511 buckets of
-- each level, however many entries there are, and an entry changes one bucket of each.
CREATE TABLE effective_sums (
  account_id uuid NOT NULL,
  level      int NOT NULL CHECK (level IN (0, 9, 18, 27, 36)),
  bucket     bigint NOT NULL,
  net        bigint NOT NULL,
  PRIMARY KEY (account_id, level, bucket)
) WITH (fillfactor = 80);

-- Balances of an account after some of the entries whose immutable rows have none, because the releases before did not
-- write it: one for every 256, so that the balance after any of them takes at most 255 rows more.
CREATE TABLE balance_checkpoints (
  account_id uuid NOT NULL,
  version    bigint NOT NULL CHECK (version > 0),
  balance    bigint NOT NULL,
  PRIMARY KEY (account_id, version)
);
CREATE TRIGGER balance_checkpoints_immutable BEFORE UPDATE OR DELETE ON balance_checkpoints
  FOR EACH ROW EXECUTE PROCEDURE refuse_change();

-- How far the accounts have their checkpoints, in the order of their ids.
CREATE TABLE balance_backfill (
  is_only    boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  account_id uuid,
  is_done    boolean NOT NULL DEFAULT false
);
INSERT INTO balance_backfill DEFAULT VALUES;
