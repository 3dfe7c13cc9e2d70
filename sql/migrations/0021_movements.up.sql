-- Holds, reversals, and limits of accounts. Like a batch of transfers, this takes the lock of posting first, so it waits
-- for the batches that are under way, and no two of them can deadlock. Nothing here reads the rows of a table, so payments
-- wait for some milliseconds.
SELECT pg_advisory_xact_lock(5703951129318914);
ALTER TABLE accounts
  -- What holds have reserved: out of the account, and into it.
  ADD COLUMN debits_pending  bigint NOT NULL DEFAULT 0,
  ADD COLUMN credits_pending bigint NOT NULL DEFAULT 0,
  -- The least that may be available, and the most that the balance may be with what is pending. Without a least, it is 0,
  -- or nothing if the account may be negative.
  ADD COLUMN balance_min bigint,
  ADD COLUMN balance_max bigint,
  ADD COLUMN debits_frozen  boolean NOT NULL DEFAULT false,
  ADD COLUMN credits_frozen boolean NOT NULL DEFAULT false,
  ADD COLUMN closed_at timestamptz,
  -- A reversal has taken more than was available. Reset as soon as the account has its least again.
  ADD COLUMN overdrawn_by_force boolean NOT NULL DEFAULT false,
  ADD COLUMN parent_id uuid,
  -- Of its last movement. Times of an account never go backwards, even if the clock does.
  ADD COLUMN posted_at timestamptz;
ALTER TABLE accounts
  ADD CONSTRAINT pending_within_bounds CHECK (debits_pending >= 0 AND credits_pending >= 0
    AND debits_posted + debits_pending <= 9007199254740991
    AND credits_posted + credits_pending <= 9007199254740991) NOT VALID,
  ADD CONSTRAINT limits_within_bounds CHECK (balance_min BETWEEN -9007199254740991 AND 9007199254740991
    AND balance_max BETWEEN -9007199254740991 AND 9007199254740991) NOT VALID,
  ADD CONSTRAINT available_not_below_least CHECK ((allow_negative AND balance_min IS NULL) OR overdrawn_by_force
    OR credits_posted - debits_posted - debits_pending >= coalesce(balance_min, 0)) NOT VALID,
  ADD CONSTRAINT balance_not_above_most CHECK (
    credits_posted - debits_posted + credits_pending <= balance_max) NOT VALID,
  ADD CONSTRAINT closed_at_zero CHECK (closed_at IS NULL
    OR (credits_posted = debits_posted AND debits_pending = 0 AND credits_pending = 0)) NOT VALID,
  DROP CONSTRAINT balance_not_negative;

ALTER TABLE transfers
  -- Credits minus debits of each account after this transfer. Null in rows of the releases before, as is the rest.
  ADD COLUMN debit_balance  bigint,
  ADD COLUMN credit_balance bigint,
  ADD COLUMN hold_id uuid,
  ADD COLUMN reverses_id uuid,
  ADD COLUMN effective_at timestamptz;

-- Money that is reserved in the debit account for the credit account. What it is never changes; what became of it changes
-- until it is settled. What is reserved is the amount without what was posted, until it is settled.
CREATE TABLE holds (
  id                uuid PRIMARY KEY,
  debit_account_id  uuid NOT NULL,
  credit_account_id uuid NOT NULL,
  ledger            text NOT NULL,
  amount            bigint NOT NULL CHECK (amount BETWEEN 1 AND 9007199254740991),
  reference         text,
  metadata          jsonb NOT NULL,
  -- Whether it also takes room of the account that it credits: not if that belonged to another organization.
  reserves_credit   boolean NOT NULL,
  created_at        timestamptz NOT NULL,
  expires_at        timestamptz NOT NULL CHECK (expires_at > created_at),
  posted            bigint NOT NULL CHECK (posted BETWEEN 0 AND amount),
  state             text NOT NULL CHECK (state IN ('pending', 'posted', 'voided', 'expired')),
  settled_at        timestamptz CHECK ((settled_at IS NULL) = (state = 'pending')),
  -- Counts its events.
  revision          bigint NOT NULL CHECK (revision >= 1),
  CHECK (debit_account_id <> credit_account_id),
  CHECK (CASE state WHEN 'posted' THEN posted > 0 ELSE posted < amount END)
) WITH (fillfactor = 80);
-- Lists of an account, of one state or merged from all. That of pending ones does not read those that are settled.
CREATE INDEX holds_by_debit ON holds (debit_account_id, state, created_at, id);
CREATE INDEX holds_by_credit ON holds (credit_account_id, state, created_at, id);
CREATE INDEX holds_due ON holds (expires_at) WHERE state = 'pending';
CREATE TRIGGER holds_permanent BEFORE DELETE ON holds
  FOR EACH ROW EXECUTE PROCEDURE refuse_change();
CREATE TRIGGER holds_immutable BEFORE UPDATE ON holds FOR EACH ROW
  WHEN (OLD.state <> 'pending' OR NEW.posted < OLD.posted OR NEW.revision <= OLD.revision
    OR (OLD.id, OLD.debit_account_id, OLD.credit_account_id, OLD.ledger, OLD.amount, OLD.reference, OLD.metadata,
        OLD.reserves_credit, OLD.created_at, OLD.expires_at)
      IS DISTINCT FROM (NEW.id, NEW.debit_account_id, NEW.credit_account_id, NEW.ledger, NEW.amount, NEW.reference,
        NEW.metadata, NEW.reserves_credit, NEW.created_at, NEW.expires_at))
  EXECUTE PROCEDURE refuse_change();

-- Which transfer a transfer reverses, from the side of the original, whose row is immutable and in caches.
CREATE TABLE reversals (
  reversal_id uuid PRIMARY KEY,
  transfer_id uuid NOT NULL CHECK (transfer_id <> reversal_id),
  amount      bigint NOT NULL CHECK (amount BETWEEN 1 AND 9007199254740991),
  created_at  timestamptz NOT NULL
);
CREATE INDEX reversals_by_transfer ON reversals (transfer_id, created_at, reversal_id);
CREATE TRIGGER reversals_immutable BEFORE UPDATE OR DELETE ON reversals
  FOR EACH ROW EXECUTE PROCEDURE refuse_change();
CREATE TABLE reversed_transfers (
  transfer_id uuid PRIMARY KEY,
  amount      bigint NOT NULL,
  reversed    bigint NOT NULL CHECK (reversed BETWEEN 0 AND amount)
) WITH (fillfactor = 80);
CREATE TRIGGER reversed_transfers_permanent BEFORE DELETE ON reversed_transfers
  FOR EACH ROW EXECUTE PROCEDURE refuse_change();
CREATE TRIGGER reversed_transfers_grow BEFORE UPDATE ON reversed_transfers FOR EACH ROW
  WHEN (NEW.transfer_id <> OLD.transfer_id OR NEW.amount <> OLD.amount OR NEW.reversed < OLD.reversed)
  EXECUTE PROCEDURE refuse_change();
