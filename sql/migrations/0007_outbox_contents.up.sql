-- What an event needs besides the row itself, so that the relay does not have to look it up: three index probes for each
-- transfer. Null in rows that a host of the release before has written.
ALTER TABLE outbox ADD COLUMN posted_at timestamptz, ADD COLUMN debit_owner text, ADD COLUMN credit_owner text;

-- Every transfer updates two accounts, and every event a row of the inbox. With room on its page, the new version needs no
-- new index entries.
ALTER TABLE accounts SET (fillfactor = 80);
ALTER TABLE inbox SET (fillfactor = 80);
