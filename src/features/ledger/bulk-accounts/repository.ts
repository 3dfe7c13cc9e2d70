import { auditFragment } from '../../../adapters/postgres/audit.ts';
import type { Database } from '../../../adapters/postgres/database.ts';
import type { BulkAccounts, BulkOutcome } from '../bulk-account.ts';

export function createBulkAccounts(db: Database): BulkAccounts {
  return {
    async open(owner, accounts, actor) {
      const given = db.fragment`json_to_recordset(${JSON.stringify(accounts)}::text::json) AS given(
        id uuid, ledger text, name text, kind text, "allowNegative" boolean, metadata jsonb, "acceptsFrom" jsonb,
        "acceptsUpTo" bigint, "balanceMin" bigint, "parentId" uuid)`;
      const opened = await db.query(
        (sql) => sql<{ id: string }[]>`
          WITH opened AS (
            INSERT INTO accounts (id, owner, ledger, name, kind, allow_negative, metadata, accepts_from, accepts_up_to,
              balance_min, parent_id)
            SELECT id, ${owner}, ledger, name, kind, "allowNegative", metadata, "acceptsFrom",
              "acceptsUpTo", "balanceMin", "parentId"
            FROM ${given} WHERE "parentId" IS NULL
              OR EXISTS (SELECT FROM accounts p WHERE p.id = "parentId" AND p.owner = ${owner})
            ORDER BY id ON CONFLICT (id) DO NOTHING RETURNING *
          ), event AS (
            INSERT INTO outbox (owner, type, key, sequence, occurred_at, data)
            SELECT owner, 'account.opened.v1', id, 0, created_at, jsonb_build_object('accountId', id, 'ledger', ledger,
              'name', name, 'kind', kind, 'allowNegative', allow_negative, 'metadata', metadata) FROM opened
          ), audited AS (${auditFragment(
            db.fragment,
            actor,
            ['account', 'created'],
            db.fragment`SELECT owner, id, NULL::jsonb, jsonb_build_object('ledger', ledger, 'name', name, 'kind', kind,
              'allowNegative', allow_negative, 'acceptsFrom', accepts_from, 'acceptsUpTo', accepts_up_to,
              'balanceMin', balance_min, 'parentId', parent_id) FROM opened`,
          )})
          SELECT id FROM opened`,
      );
      const isNew = new Set(opened.map(({ id }) => id));
      if (isNew.size === accounts.length) return accounts.map(() => 'posted');
      const found = await db.query(
        (sql) => sql<{ outcome: BulkOutcome }[]>`
          SELECT CASE
              WHEN a.id IS NULL AND given."parentId" IS NOT NULL AND NOT EXISTS (SELECT FROM accounts p
                WHERE p.id = given."parentId" AND p.owner = ${owner}) THEN 'parent_not_found'
              WHEN a.owner = ${owner} AND (a.ledger, a.name, a.kind, a.allow_negative, a.metadata) IS NOT DISTINCT FROM
                (given.ledger, given.name, given.kind, given."allowNegative", given.metadata) THEN 'exists'
              ELSE 'account_id_taken' END AS outcome
          FROM (SELECT *, row_number() OVER () AS nth FROM ${given}) given LEFT JOIN accounts a ON a.id = given.id
          ORDER BY nth`,
      );
      return accounts.map(({ id }, i) => (isNew.delete(id) ? 'posted' : found[i]!.outcome));
    },
    async set(owner, settings, actor) {
      const settable = db.fragment`jsonb_build_object('balanceMin', balance_min, 'balanceMax', balance_max,
        'debitsFrozen', debits_frozen, 'creditsFrozen', credits_frozen, 'isClosed', closed_at IS NOT NULL)`;
      // In the order in which batches lock accounts.
      const rows = await db.query(
        (sql) => sql<{ outcome: BulkOutcome }[]>`
          WITH given AS (
            SELECT *, row_number() OVER () AS nth FROM json_to_recordset(${JSON.stringify(settings)}::text::json) AS x(
              id uuid, "balanceMin" bigint, "balanceMax" bigint, "debitsFrozen" boolean, "creditsFrozen" boolean,
              "isClosed" boolean, "isOverdrawn" boolean)
          ), locked AS (
            SELECT *, ${settable} AS before FROM accounts
            WHERE id IN (SELECT id FROM given) AND owner = ${owner} ORDER BY id FOR NO KEY UPDATE
          ), decided AS (
            SELECT given.*, a.before, NOT (a.allow_negative AND given."balanceMin" IS NULL)
                AND a.credits_posted - a.debits_posted - a.debits_pending < coalesce(given."balanceMin", 0) AS is_below,
              CASE
                WHEN a.id IS NULL THEN 'account_not_found'
                WHEN given."isClosed" AND NOT (a.credits_posted = a.debits_posted AND a.debits_pending = 0
                  AND a.credits_pending = 0) THEN 'account_not_empty'
                WHEN a.credits_posted - a.debits_posted + a.credits_pending > given."balanceMax"
                  THEN 'balance_limit_exceeded'
                WHEN a.credits_posted - a.debits_posted - a.debits_pending < coalesce(given."balanceMin", 0)
                  AND NOT (a.allow_negative AND given."balanceMin" IS NULL) AND NOT given."isOverdrawn"
                  THEN 'insufficient_funds'
                ELSE 'posted' END AS outcome
            FROM given LEFT JOIN locked a ON a.id = given.id
          ), changed AS (
            UPDATE accounts a SET balance_min = d."balanceMin", balance_max = d."balanceMax",
              debits_frozen = d."debitsFrozen", credits_frozen = d."creditsFrozen", overdrawn_by_force = d.is_below,
              closed_at = CASE WHEN d."isClosed" THEN coalesce(a.closed_at, clock_timestamp()) END,
              revision = a.revision + 1
            -- Of an account that comes twice, the last line counts.
            FROM (SELECT DISTINCT ON (id) * FROM decided WHERE outcome = 'posted' ORDER BY id, nth DESC) d
            WHERE a.id = d.id RETURNING a.*, d.before
          ), audited AS (${auditFragment(
            db.fragment,
            actor,
            ['account', 'updated'],
            db.fragment`SELECT owner, id, before, ${settable} FROM changed WHERE before <> ${settable}`,
          )})
          SELECT outcome FROM decided ORDER BY nth`,
      );
      return rows.map(({ outcome }) => outcome);
    },
  };
}
