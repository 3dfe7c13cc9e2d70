DROP TRIGGER accounts_move_documents ON accounts;
DROP FUNCTION move_documents;
DROP TABLE document_versions, documents, document_kinds, document_usage;
