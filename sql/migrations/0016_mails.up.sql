-- The outbox of mails: written in the transaction of the change that they are about, and sent from here.
CREATE TABLE mails (
  -- Also the Message-ID, so that a mail that had to be sent again is recognized.
  id              uuid PRIMARY KEY,
  -- On whose behalf; empty if for no organization.
  organization    text NOT NULL,
  recipient       text NOT NULL CHECK (length(recipient) BETWEEN 3 AND 254),
  -- Subject and text as a record of `src/utils/sealing.ts`, because they may contain tokens. Null once the mail ended.
  content         text CHECK (length(content) <= 262144),
  state           text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'failed')),
  -- Of the last attempt; null if it succeeded.
  failure         text CHECK (length(failure) <= 64),
  -- Counts all attempts that were started, and fences them: only the latest one is recorded.
  attempts        int NOT NULL DEFAULT 0,
  -- Those of them that count against the limit.
  tries           int NOT NULL DEFAULT 0,
  next_attempt_at timestamptz NOT NULL DEFAULT now(),
  leased_until    timestamptz,
  incarnation     text,
  created_at      timestamptz NOT NULL DEFAULT now(),
  -- After this nobody can use it any more.
  expires_at      timestamptz NOT NULL,
  ended_at        timestamptz,
  CHECK ((state = 'pending') = (content IS NOT NULL) AND (state = 'pending') = (ended_at IS NULL)),
  CHECK (state = 'pending' OR leased_until IS NULL)
) WITH (fillfactor = 70);
-- What expires first is sent first.
CREATE INDEX mails_pending ON mails (expires_at) WHERE state = 'pending';
CREATE INDEX mails_in_flight ON mails (leased_until) WHERE leased_until IS NOT NULL;
CREATE INDEX mails_by_recipient ON mails (lower(recipient), created_at);
CREATE INDEX mails_by_organization ON mails (organization, created_at);
CREATE INDEX mails_ended ON mails (ended_at) WHERE ended_at IS NOT NULL;
