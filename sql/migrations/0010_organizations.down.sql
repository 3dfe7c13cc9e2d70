DROP TRIGGER api_keys_add_organization ON api_keys;
DROP FUNCTION add_organization;
-- The release before would take keys of the other kinds for keys of their owner. It knows their tokens by another prefix,
-- and lists them.
DELETE FROM api_keys WHERE kind <> 'live';
ALTER TABLE api_keys DROP COLUMN kind;
DROP TABLE organizations;
