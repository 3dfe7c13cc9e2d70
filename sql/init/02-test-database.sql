-- A second database for tests by hand, so that they never touch the first one. psql reads this, hence \connect.
CREATE DATABASE atlas_test;
\connect atlas_test
CREATE EXTENSION IF NOT EXISTS "uuid-ossp";
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS btree_gin;
