-- Organizations see only what is theirs. Like a batch of transfers, this takes the lock of posting first, so it waits for
-- the batches that are under way, and no two of them can deadlock. Nothing here reads the rows of a table, so payments wait
-- for some milliseconds.
SELECT pg_advisory_xact_lock(5703951129318914);
ALTER TABLE accounts
  -- The organizations whose transfers the account accepts, besides its own: null for none, or ["*"] for all.
  ADD COLUMN accepts_from jsonb,
  -- Counts the changes of what its owner may change, so not its transfers.
  ADD COLUMN revision bigint NOT NULL DEFAULT 1;
ALTER TABLE accounts ADD CONSTRAINT accepts_from_is_a_list CHECK (
  CASE jsonb_typeof(accepts_from) WHEN 'array' THEN jsonb_array_length(accepts_from) BETWEEN 1 AND 100
    ELSE accepts_from IS NULL END) NOT VALID;

-- Off where hosts of the release before may run, which do not isolate: see src/adapters/postgres/isolation.ts.
ALTER TABLE transfer_id_secret
  ADD COLUMN isolates_owners boolean NOT NULL DEFAULT false,
  -- Grows when isolation is turned on or off and when accounts are moved: what caches hold from before is not read again.
  ADD COLUMN isolation_epoch bigint NOT NULL DEFAULT 0;
UPDATE transfer_id_secret SET isolates_owners = NOT EXISTS (SELECT FROM accounts)
  AND NOT EXISTS (SELECT FROM transfers) AND NOT EXISTS (SELECT FROM api_keys);
-- A host of the release before leaves this false, so it is known while it runs.
ALTER TABLE incarnations ADD COLUMN isolates boolean NOT NULL DEFAULT false;

-- Lists of an isolated owner need this index. Where there are accounts, building it here would hold up their payments:
-- there it is built while payments go on, before isolation is turned on.
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM accounts) THEN
    CREATE INDEX accounts_by_owner ON accounts (owner, created_at, id);
  END IF;
END $$;
