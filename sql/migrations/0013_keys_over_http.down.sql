DROP TABLE idempotent_responses;
DROP INDEX api_keys_of_owner, api_keys_ended;
ALTER TABLE api_keys DROP COLUMN created_by, DROP COLUMN replaced_by;
