-- One transaction for each transfer, as a service without group commit would do it: both accounts in the order of their
-- numbers (so that two of them never deadlock), the transfer, the outbox row. All the work of Atlas but its idempotency.
\set d random(1, :naccounts)
\set c random(1, :naccounts - 1)
\set c :c + (case when :c >= :d then 1 else 0 end)
\set first least(:d, :c)
\set second greatest(:d, :c)
\set t random(1, 9000000000000000000)
BEGIN;
UPDATE accounts SET debits_posted = debits_posted + 100, version = version + 1 WHERE id = md5('a' || :first)::uuid RETURNING version AS dv \gset
UPDATE accounts SET credits_posted = credits_posted + 100, version = version + 1 WHERE id = md5('a' || :second)::uuid RETURNING version AS cv \gset
INSERT INTO transfers (id, debit_account_id, debit_version, credit_account_id, credit_version, ledger, amount, metadata, created_at) VALUES (md5('t' || :t)::uuid, md5('a' || :first)::uuid, :dv, md5('a' || :second)::uuid, :cv, 'EUR', 100, '{}', now());
INSERT INTO outbox (transfer_id, debit_account_id, debit_version, credit_account_id, credit_version) VALUES (md5('t' || :t)::uuid, md5('a' || :first)::uuid, :dv, md5('a' || :second)::uuid, :cv);
COMMIT;
