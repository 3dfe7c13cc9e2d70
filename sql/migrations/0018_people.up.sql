-- People, what they belong to, and how they sign in. No foreign key to organizations yet: hosts of the release before create those.
CREATE TABLE users (
  id            uuid PRIMARY KEY,
  -- Normalized (src/features/identity/users/email.ts), so that one mailbox is one user.
  email         text NOT NULL UNIQUE CHECK (length(email) <= 320),
  name          text NOT NULL DEFAULT '',
  -- Argon2id in PHC format; null for somebody who signs in through a provider only.
  password_hash text,
  -- Null until the mail was confirmed: nobody signs in before.
  confirmed_at  timestamptz,
  -- Operators can lock somebody out.
  locked_at     timestamptz,
  -- A record of src/utils/sealing.ts; null without a second factor. It counts once confirmed.
  totp_secret       text,
  totp_confirmed_at timestamptz,
  -- The last time step that was used, so that no code works twice.
  totp_step         bigint NOT NULL DEFAULT 0,
  created_at    timestamptz NOT NULL DEFAULT now(),
  updated_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX users_unconfirmed ON users (created_at) WHERE confirmed_at IS NULL;
CREATE TABLE recovery_codes (
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  hash    bytea NOT NULL CHECK (length(hash) = 32),
  used_at timestamptz,
  PRIMARY KEY (user_id, hash)
);
-- A user at an OpenID Connect provider.
CREATE TABLE user_identities (
  issuer     text NOT NULL,
  subject    text NOT NULL,
  user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (issuer, subject)
);
CREATE INDEX user_identities_of_user ON user_identities (user_id);
CREATE TABLE memberships (
  organization text NOT NULL,
  user_id      uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  role         text NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
  created_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (organization, user_id)
);
CREATE INDEX memberships_of_user ON memberships (user_id, organization);
CREATE TABLE sessions (
  -- The public ID in the token.
  id               text PRIMARY KEY CHECK (length(id) = 16),
  secret_hash      bytea NOT NULL CHECK (length(secret_hash) = 32),
  user_id          uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  -- The organization it acts for; empty for none.
  organization     text NOT NULL DEFAULT '',
  -- When the person proved who they are; rotation keeps it.
  authenticated_at timestamptz NOT NULL DEFAULT now(),
  created_at       timestamptz NOT NULL DEFAULT now(),
  last_used_at     timestamptz NOT NULL DEFAULT now(),
  -- The absolute limit. The idle limit counts from last_used_at.
  expires_at       timestamptz NOT NULL,
  address          text NOT NULL,
  user_agent       text NOT NULL CHECK (length(user_agent) <= 256)
);
CREATE INDEX sessions_of_user ON sessions (user_id, created_at, id);
CREATE INDEX sessions_expired ON sessions (expires_at);
-- Tokens that were sent by mail and work once: confirm an address, reset a password.
CREATE TABLE one_time_tokens (
  secret_hash bytea PRIMARY KEY CHECK (length(secret_hash) = 32),
  purpose     text NOT NULL CHECK (purpose IN ('confirm_email', 'reset_password')),
  user_id     uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  expires_at  timestamptz NOT NULL
);
CREATE INDEX one_time_tokens_of_user ON one_time_tokens (user_id, purpose);
CREATE INDEX one_time_tokens_expired ON one_time_tokens (expires_at);
CREATE TABLE invitations (
  id           uuid PRIMARY KEY,
  organization text NOT NULL,
  email        text NOT NULL CHECK (length(email) <= 320),
  role         text NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
  secret_hash  bytea NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
  -- The user or key that invited.
  invited_by   text NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  expires_at   timestamptz NOT NULL,
  UNIQUE (organization, email)
);
CREATE INDEX invitations_of_organization ON invitations (organization, created_at, id);
CREATE INDEX invitations_expired ON invitations (expires_at);
-- Attempts to sign in and requests for mails, by the SHA-256 of what they are counted for: an account, an address, or an
-- address from which a person has signed in before (src/features/identity/throttle).
CREATE TABLE attempts (
  subject   bytea PRIMARY KEY CHECK (length(subject) = 32),
  failures  integer NOT NULL,
  -- No other attempt before this.
  next_at   timestamptz NOT NULL,
  forget_at timestamptz NOT NULL
);
CREATE INDEX attempts_forgotten ON attempts (forget_at);
