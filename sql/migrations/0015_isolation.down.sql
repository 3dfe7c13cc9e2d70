DROP INDEX IF EXISTS accounts_by_owner;
ALTER TABLE incarnations DROP COLUMN isolates;
ALTER TABLE transfer_id_secret DROP COLUMN isolation_epoch, DROP COLUMN isolates_owners;
ALTER TABLE accounts DROP COLUMN revision, DROP COLUMN accepts_from;
