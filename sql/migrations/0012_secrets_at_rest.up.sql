-- From when on secrets are stored sealed only; null while hosts of the release before may have to read them.
CREATE TABLE secrets_at_rest (
  is_only      boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  sealed_since timestamptz
);

-- The records of `src/utils/sealing.ts`. Each secret is stored either plain or sealed. A host of the release before reads
-- and writes plain ones only: when it replaces a sealed secret, both columns are set, and the record is the former secret.
ALTER TABLE webhooks
  ALTER COLUMN secret DROP NOT NULL,
  ADD COLUMN sealed_secret text CHECK (length(sealed_secret) <= 1024),
  ADD COLUMN sealed_old_secret text CHECK (length(sealed_old_secret) <= 1024),
  DROP CONSTRAINT webhooks_check,
  ADD CONSTRAINT webhooks_secret_stored CHECK (secret IS NOT NULL OR sealed_secret IS NOT NULL),
  ADD CONSTRAINT webhooks_old_secret_ends CHECK (
    old_secret_until IS NOT NULL OR (old_secret IS NULL AND sealed_old_secret IS NULL));

-- In a new database, from the start.
INSERT INTO secrets_at_rest (sealed_since) SELECT CASE WHEN NOT EXISTS (SELECT FROM webhooks) THEN now() END;
