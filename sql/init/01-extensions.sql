-- Run once by a new PostgreSQL of compose.yaml, in the database that POSTGRES_DB names.
CREATE EXTENSION IF NOT EXISTS "uuid-ossp";
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS btree_gin;
