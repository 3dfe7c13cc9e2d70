DROP FUNCTION begin_upload;
DROP TABLE files, object_realm;
