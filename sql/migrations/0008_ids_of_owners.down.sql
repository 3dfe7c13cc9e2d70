DROP TRIGGER accounts_refuse_reserved_id ON accounts;
DROP TRIGGER webhooks_reserve_id ON webhooks;
DROP TRIGGER files_reserve_id ON files;
DROP FUNCTION refuse_reserved_id;
DROP FUNCTION reserve_id;
DROP TABLE reserved_ids, transfer_id_secret;
