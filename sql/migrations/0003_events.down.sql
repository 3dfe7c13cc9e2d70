DROP TABLE inbox, consumer_offsets, parked_events, parked_keys, relay, outbox, events;
CREATE TABLE outbox (
  transfer_id       uuid PRIMARY KEY,
  debit_account_id  uuid NOT NULL,
  debit_version     bigint NOT NULL,
  credit_account_id uuid NOT NULL,
  credit_version    bigint NOT NULL,
  position          bigint
);
CREATE UNIQUE INDEX outbox_by_position ON outbox (position) WHERE position IS NOT NULL;
INSERT INTO outbox (transfer_id, debit_account_id, debit_version, credit_account_id, credit_version)
  SELECT id, debit_account_id, debit_version, credit_account_id, credit_version FROM transfers;
ALTER TABLE accounts DROP COLUMN owner;
