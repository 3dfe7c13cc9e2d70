ALTER TABLE accounts DROP COLUMN accepts_up_to;
