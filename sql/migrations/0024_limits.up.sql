-- Limits of what a group of accounts, or all accounts of an organization, may pay or be paid: each transfer, each hour, each
-- day, and in all. Only new tables, so payments do not wait for this.
CREATE TABLE limits (
  id     uuid PRIMARY KEY,
  owner  text NOT NULL,
  name   text NOT NULL,
  -- Amounts of different ledgers cannot be added.
  ledger text NOT NULL CHECK (ledger ~ '^[A-Z]{3}$'),
  -- Of all accounts that the owner has on the ledger, or of those in `limit_accounts`.
  scope  text NOT NULL CHECK (scope IN ('organization', 'accounts')),
  counts text NOT NULL CHECK (counts IN ('debits', 'credits', 'both')),
  -- Whether a transfer between two of these accounts counts, once.
  counts_internal boolean NOT NULL,
  -- Those of operators cannot be changed by the organization.
  set_by text NOT NULL CHECK (set_by IN ('organization', 'operator')),
  transfer_amount_max bigint CHECK (transfer_amount_max BETWEEN 0 AND 9007199254740991),
  hour_amount_max     bigint CHECK (hour_amount_max BETWEEN 0 AND 9007199254740991),
  hour_count_max      bigint CHECK (hour_count_max BETWEEN 0 AND 9007199254740991),
  day_amount_max      bigint CHECK (day_amount_max BETWEEN 0 AND 9007199254740991),
  day_count_max       bigint CHECK (day_count_max BETWEEN 0 AND 9007199254740991),
  total_amount_max    bigint CHECK (total_amount_max BETWEEN 0 AND 9007199254740991),
  -- What is used of the last hour and day (UTC) in which something was counted, and in all. It is counted in the transaction
  -- of the transfer, whether or not there is a maximum.
  hour_starts_at timestamptz NOT NULL DEFAULT 'epoch',
  hour_amount    bigint NOT NULL DEFAULT 0 CHECK (hour_amount >= 0),
  hour_count     bigint NOT NULL DEFAULT 0 CHECK (hour_count >= 0),
  day_starts_at  timestamptz NOT NULL DEFAULT 'epoch',
  day_amount     bigint NOT NULL DEFAULT 0 CHECK (day_amount >= 0),
  day_count      bigint NOT NULL DEFAULT 0 CHECK (day_count >= 0),
  total_amount   bigint NOT NULL DEFAULT 0 CHECK (total_amount >= 0),
  -- How many `limit_accounts` it has.
  account_count integer NOT NULL DEFAULT 0,
  revision   bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- From then on nothing is counted. The rows are deleted in steps.
  deleted_at timestamptz,
  CHECK (num_nonnulls(transfer_amount_max, hour_amount_max, hour_count_max, day_amount_max, day_count_max, total_amount_max) > 0)
) WITH (fillfactor = 50);
CREATE INDEX limits_by_owner ON limits (owner, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX limits_of_organizations ON limits (owner, ledger) WHERE scope = 'organization' AND deleted_at IS NULL;
CREATE INDEX limits_deleted ON limits (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE limit_accounts (
  limit_id   uuid NOT NULL,
  account_id uuid NOT NULL,
  PRIMARY KEY (limit_id, account_id)
);
CREATE INDEX limit_accounts_by_account ON limit_accounts (account_id);

-- What a pending hold has used of a limit, and when: what it releases is given back, unless that hour or day has passed.
CREATE TABLE limit_reservations (
  hold_id        uuid NOT NULL,
  limit_id       uuid NOT NULL,
  hour_starts_at timestamptz NOT NULL,
  day_starts_at  timestamptz NOT NULL,
  PRIMARY KEY (hold_id, limit_id)
);
CREATE INDEX limit_reservations_by_limit ON limit_reservations (limit_id);

-- The last guard, whatever the code does: nothing that is used grows beyond its maximum. A maximum may be lowered below what
-- is used. A CHECK cannot say so, as it does not see the former row.
CREATE FUNCTION refuse_excess() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'limit % would be exceeded', NEW.id USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER limits_hold BEFORE UPDATE ON limits FOR EACH ROW WHEN (
  NEW.hour_starts_at < OLD.hour_starts_at OR NEW.day_starts_at < OLD.day_starts_at
  OR NEW.hour_amount > greatest(NEW.hour_amount_max, CASE WHEN NEW.hour_starts_at = OLD.hour_starts_at THEN OLD.hour_amount END)
     AND NEW.hour_amount_max IS NOT NULL
  OR NEW.hour_count > greatest(NEW.hour_count_max, CASE WHEN NEW.hour_starts_at = OLD.hour_starts_at THEN OLD.hour_count END)
     AND NEW.hour_count_max IS NOT NULL
  OR NEW.day_amount > greatest(NEW.day_amount_max, CASE WHEN NEW.day_starts_at = OLD.day_starts_at THEN OLD.day_amount END)
     AND NEW.day_amount_max IS NOT NULL
  OR NEW.day_count > greatest(NEW.day_count_max, CASE WHEN NEW.day_starts_at = OLD.day_starts_at THEN OLD.day_count END)
     AND NEW.day_count_max IS NOT NULL
  OR NEW.total_amount > greatest(NEW.total_amount_max, OLD.total_amount) AND NEW.total_amount_max IS NOT NULL)
  EXECUTE FUNCTION refuse_excess();

-- The limits of a batch, in the order of their ids, and referred to by number.
CREATE TYPE limit_set AS (
  ids uuid[], hours timestamptz[], days timestamptz[],
  -- By limit: 1 if it counts debits, 2 if it counts credits, and 4 if it counts what is internal.
  rules int[],
  -- Six by limit: the maxima of the amount of a transfer, amount and count of the hour and of the day, and the amount in all, and
  -- what was used of each when the batch began. Nothing is used of the first.
  most bigint[], used bigint[],
  -- By account, and for one more, where the limits begin that it is under; and those limits.
  a_from int[], a_limit int[],
  -- The same by stored hold, with what it has used: 1 if it was in the hour of the batch, and 2 if it was in the day.
  h_from int[], h_limit int[], h_current int[]
);
