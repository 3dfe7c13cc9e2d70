DROP TABLE attempts, invitations, one_time_tokens, sessions, memberships, user_identities, recovery_codes, users;
