DROP FUNCTION settle_webhook_delivery, claim_webhook_deliveries, taken_webhook_places, free_webhook_places;
DROP TABLE webhook_attempts, webhook_deliveries, webhooks;
