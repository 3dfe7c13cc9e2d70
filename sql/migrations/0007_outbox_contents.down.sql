ALTER TABLE inbox RESET (fillfactor);
ALTER TABLE accounts RESET (fillfactor);
ALTER TABLE outbox DROP COLUMN posted_at, DROP COLUMN debit_owner, DROP COLUMN credit_owner;
