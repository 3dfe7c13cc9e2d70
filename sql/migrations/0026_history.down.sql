DROP TABLE balance_backfill, balance_checkpoints, effective_sums, effective_entries;
