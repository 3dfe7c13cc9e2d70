DROP FUNCTION post_transfers;
DROP TABLE outbox, idempotency_keys, transfers, accounts;
DROP FUNCTION refuse_change;
