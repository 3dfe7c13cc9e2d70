DROP TRIGGER events_retained ON events;
DROP TRIGGER events_immutable ON events;
CREATE TRIGGER events_immutable BEFORE UPDATE OR DELETE ON events
  FOR EACH ROW EXECUTE PROCEDURE refuse_change();
DROP TABLE forgotten_keys, forgotten_events, log_start;
UPDATE webhook_deliveries d SET body = b.body FROM webhooks w JOIN webhook_bodies b ON b.owner = w.owner
 WHERE w.id = d.webhook_id AND b.event_id = d.event_id AND d.body IS NULL;
ALTER TABLE webhook_deliveries ALTER COLUMN body SET NOT NULL, DROP COLUMN incarnation;
DROP TABLE webhook_bodies;
ALTER TABLE files DROP COLUMN incarnation;
ALTER TABLE relay DROP COLUMN incarnation, DROP COLUMN incarnation_epoch;
DROP TABLE incarnations;
