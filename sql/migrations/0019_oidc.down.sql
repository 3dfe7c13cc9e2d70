DROP TABLE pending_identities;
