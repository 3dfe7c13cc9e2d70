-- Search of accounts and transfers by what they contain. A term is a hash of an owner, a field and its value: what is found
-- under it is compared with the rows themselves, so a term that is stale or shared shows nothing, and only costs time.
-- Terms are in order of age: what is common is read a page at a time, like what is rare.

-- Written after posting, from the log of events, so that a transfer costs posting nothing.
CREATE TABLE transfer_terms (
  term       bigint NOT NULL,
  created_at timestamptz NOT NULL,
  id         uuid NOT NULL,
  PRIMARY KEY (term, created_at, id)
);
-- Written with the account, by a trigger.
CREATE TABLE account_terms (
  term       bigint NOT NULL,
  created_at timestamptz NOT NULL,
  id         uuid NOT NULL,
  PRIMARY KEY (term, created_at, id)
);

-- How far the terms are. One row: see sql/functions/index_next.sql.
CREATE TABLE search_progress (
  is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  -- Of the hashes. The API never returns it, so nobody can choose a value that has the hash of somebody else's.
  seed bigint NOT NULL,
  -- Transfers whose events are up to this position have their terms.
  position bigint NOT NULL,
  -- Transfers and accounts of before this migration get theirs in this order. Null: from the start.
  has_transfers boolean NOT NULL,
  transfers_after_account uuid,
  transfers_after_version bigint,
  has_accounts boolean NOT NULL,
  accounts_after uuid
);
-- Accounts that were given to another owner, whose transfers need other terms. `after_version` says how far they have them.
CREATE TABLE search_moves (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account_id    uuid NOT NULL,
  former_owner  text NOT NULL,
  is_debit_done boolean NOT NULL DEFAULT false,
  after_version bigint NOT NULL DEFAULT 0
);

-- Functions of the triggers, and what they call, are here: they do not change while a host of the release before runs.
CREATE FUNCTION search_term(p_seed bigint, p_owner text, p_field text, p_value text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT hashtextextended(length(p_field)::text || ':' || p_field || p_value, hashtextextended(p_owner, p_seed))
$$;

CREATE FUNCTION account_terms_of(
  p_seed bigint, p_owner text, p_ledger text, p_kind text, p_name text, p_metadata jsonb
) RETURNS SETOF bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT DISTINCT search_term(p_seed, p_owner, f.field, f.value)
    FROM (VALUES ('', ''), ('ledger', p_ledger), ('kind', p_kind), ('name', p_name)
      UNION ALL SELECT 'metadata.' || key, value FROM jsonb_each_text(p_metadata)) f(field, value)
   WHERE f.value IS NOT NULL
$$;

CREATE FUNCTION keep_account_terms() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  secret bigint;
BEGIN
  SELECT seed INTO secret FROM search_progress;
  IF TG_OP = 'UPDATE' THEN
    DELETE FROM account_terms WHERE created_at = OLD.created_at AND id = OLD.id AND term IN (
      SELECT account_terms_of(secret, OLD.owner, OLD.ledger, OLD.kind, OLD.name, OLD.metadata)
      EXCEPT SELECT account_terms_of(secret, NEW.owner, NEW.ledger, NEW.kind, NEW.name, NEW.metadata));
    IF NEW.owner <> OLD.owner THEN
      INSERT INTO search_moves (account_id, former_owner) VALUES (NEW.id, OLD.owner);
    END IF;
  END IF;
  INSERT INTO account_terms (term, created_at, id)
    SELECT term, NEW.created_at, NEW.id
      FROM account_terms_of(secret, NEW.owner, NEW.ledger, NEW.kind, NEW.name, NEW.metadata) term
    ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;

-- Like a batch of transfers, this takes the lock of posting first, so it waits for the batches that are under way, and no
-- two of them can deadlock. Nothing after it reads more than a row of a table.
SELECT pg_advisory_xact_lock(5703951129318914);
CREATE TRIGGER accounts_terms AFTER INSERT ON accounts
  FOR EACH ROW EXECUTE FUNCTION keep_account_terms();
-- Posting updates none of these columns.
CREATE TRIGGER accounts_new_terms AFTER UPDATE OF owner, name, kind, ledger, metadata ON accounts
  FOR EACH ROW WHEN ((OLD.owner, OLD.name, OLD.kind, OLD.ledger, OLD.metadata)
    IS DISTINCT FROM (NEW.owner, NEW.name, NEW.kind, NEW.ledger, NEW.metadata))
  EXECUTE FUNCTION keep_account_terms();

-- After the triggers, so that no account is opened between them and this.
-- `hashtextextended` has no secret of its own.
INSERT INTO search_progress (seed, position, has_transfers, has_accounts)
  SELECT hashtextextended(gen_random_uuid()::text || gen_random_uuid()::text, 0), last_position,
    NOT EXISTS (SELECT FROM transfers), NOT EXISTS (SELECT FROM accounts) FROM relay;
