DROP TABLE ledger_verification;
DROP TABLE ledger_discrepancies;
DROP TABLE ledger_checkpoints;
