DROP TYPE limit_set;
DROP TABLE limit_reservations, limit_accounts, limits;
DROP FUNCTION refuse_excess();
