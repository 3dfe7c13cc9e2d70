DROP TABLE secrets_at_rest;
ALTER TABLE webhooks DROP CONSTRAINT webhooks_secret_stored, DROP CONSTRAINT webhooks_old_secret_ends;
-- Plain records become plain secrets again. What is sealed needs a key that the database does not have.
UPDATE webhooks SET
  secret = decode(rpad(translate(substr(sealed_secret, 7), '-_', '+/'), (length(sealed_secret) - 3) / 4 * 4, '='), 'base64')
 WHERE secret IS NULL AND sealed_secret LIKE 'plain.%';
DELETE FROM webhook_deliveries d USING webhooks w WHERE w.id = d.webhook_id AND w.secret IS NULL;
DELETE FROM webhooks WHERE secret IS NULL;
UPDATE webhooks SET old_secret_until = NULL WHERE old_secret IS NULL;
ALTER TABLE webhooks
  DROP COLUMN sealed_secret, DROP COLUMN sealed_old_secret,
  ALTER COLUMN secret SET NOT NULL,
  ADD CONSTRAINT webhooks_check CHECK ((old_secret IS NULL) = (old_secret_until IS NULL));
