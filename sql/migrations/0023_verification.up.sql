-- What the verification in the background has found right: the entries of an account up to a version, with their sums.
-- They are immutable, so it reads only what came after. It has no foreign key, since nothing may hold up a payment.
CREATE TABLE ledger_checkpoints (
  account_id  uuid PRIMARY KEY,
  version     bigint NOT NULL,
  debits      numeric NOT NULL,
  credits     numeric NOT NULL,
  verified_at timestamptz NOT NULL
);

-- What it has found wrong, until it is right again. Bounded by the verification.
CREATE TABLE ledger_discrepancies (
  kind       text NOT NULL,
  at         text NOT NULL,
  -- The account that it was found in, if it was one.
  account_id uuid,
  expected   text NOT NULL,
  found      text NOT NULL,
  found_at   timestamptz NOT NULL,
  PRIMARY KEY (kind, at)
);
CREATE INDEX ledger_discrepancies_by_account ON ledger_discrepancies (account_id);

-- How far it is. Whoever locks the row verifies the next step, so hosts never do the same work.
CREATE TABLE ledger_verification (
  id          boolean PRIMARY KEY DEFAULT true CHECK (id),
  -- Where it goes on: see `VerificationPosition`. Null at the beginning of a pass.
  position    jsonb,
  started_at  timestamptz,
  finished_at timestamptz,
  -- Since the first pass.
  passes      bigint NOT NULL DEFAULT 0,
  entries     bigint NOT NULL DEFAULT 0
);
INSERT INTO ledger_verification DEFAULT VALUES;
