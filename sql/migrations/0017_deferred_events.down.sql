-- What was deferred is not delivered then. Webhooks can replay it.
DROP TABLE deferred_events;
