-- Somebody whom the OpenID Connect provider has identified, and who still has to prove something: the password of the
-- user to link, or the second factor. Works once, for minutes.
CREATE TABLE pending_identities (
  secret_hash bytea PRIMARY KEY CHECK (length(secret_hash) = 32),
  issuer      text NOT NULL,
  subject     text NOT NULL,
  user_id     uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  -- Whether the password is missing, or else only the second factor.
  needs_password boolean NOT NULL,
  expires_at  timestamptz NOT NULL,
  -- Another sign-in of the same person replaces it, so there are no more than people at the provider.
  UNIQUE (issuer, subject)
);
CREATE INDEX pending_identities_expired ON pending_identities (expires_at);
CREATE INDEX pending_identities_of_user ON pending_identities (user_id);
