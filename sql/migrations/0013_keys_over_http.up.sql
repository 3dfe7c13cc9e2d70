-- The key that created this one, null if it was created by a command; and the key that a rotation replaced it with.
ALTER TABLE api_keys ADD COLUMN created_by text, ADD COLUMN replaced_by text;
CREATE INDEX api_keys_of_owner ON api_keys (owner, created_at, id);
-- When a key ends or ended; `least` ignores nulls.
CREATE INDEX api_keys_ended ON api_keys (least(revoked_at, expires_at)) WHERE created_by IS NOT NULL;

-- Responses to requests with an Idempotency-Key, except for those of the ledger. The response is a record of
-- `src/utils/sealing.ts`, because it may contain a secret.
CREATE TABLE idempotent_responses (
  id          uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
  owner       text NOT NULL,
  key         text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
  fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32),
  response    text NOT NULL CHECK (length(response) <= 65536),
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (owner, key)
);
CREATE INDEX idempotent_responses_created ON idempotent_responses (created_at);
