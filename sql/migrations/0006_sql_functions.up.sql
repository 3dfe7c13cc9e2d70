-- The installed functions of sql/functions. A file is installed if its number is higher than the one here, so an old host
-- never replaces a function of a newer release. `migration` is the migration that the body needs.
CREATE TABLE sql_functions (
  name       text PRIMARY KEY,
  number     int NOT NULL CHECK (number > 0),
  migration  int NOT NULL CHECK (migration > 0),
  checksum   text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);
