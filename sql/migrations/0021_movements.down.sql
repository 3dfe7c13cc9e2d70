DROP TABLE reversed_transfers, reversals, holds;
ALTER TABLE transfers DROP COLUMN effective_at, DROP COLUMN reverses_id, DROP COLUMN hold_id, DROP COLUMN credit_balance,
  DROP COLUMN debit_balance;
ALTER TABLE accounts DROP COLUMN posted_at, DROP COLUMN parent_id, DROP COLUMN overdrawn_by_force, DROP COLUMN closed_at,
  DROP COLUMN credits_frozen, DROP COLUMN debits_frozen, DROP COLUMN balance_max, DROP COLUMN balance_min,
  DROP COLUMN credits_pending, DROP COLUMN debits_pending;
ALTER TABLE accounts ADD CONSTRAINT balance_not_negative CHECK (allow_negative OR credits_posted >= debits_posted) NOT VALID;
