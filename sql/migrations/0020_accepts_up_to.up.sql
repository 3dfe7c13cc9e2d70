-- The largest transfer that an account accepts from another organization, so that none can fill an account at once. Takes the
-- lock of posting first, as 0015 does, and nothing here reads the rows of the table: payments wait for some milliseconds.
SELECT pg_advisory_xact_lock(5703951129318914);
ALTER TABLE accounts ADD COLUMN accepts_up_to bigint NOT NULL DEFAULT 10000000000;
ALTER TABLE accounts ADD CONSTRAINT accepts_up_to_is_an_amount CHECK (accepts_up_to BETWEEN 1 AND 9007199254740991) NOT VALID;
