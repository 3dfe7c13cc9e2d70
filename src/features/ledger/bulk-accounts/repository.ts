import { auditFragment } from '../../../adapters/postgres/audit.ts';
import type { Database } from '../../../adapters/postgres/database.ts';
import type { Queryable } from '../../../adapters/postgres/query.ts';
import type { Actor } from '../../../utils/actor.ts';
import { createReservedId } from '../../../utils/reserved-id.ts';
import type { ChangeKind } from '../account-refusals.ts';
import type { BulkAccount, BulkAccounts, BulkOutcome, BulkSettings } from '../bulk-account.ts';
import { openedContent, openedEvent } from '../opened-accounts.ts';

// Payments wait for the rows of accounts that are being changed.
const CHANGED_MAX = 250;

export function createBulkAccounts(db: Database): BulkAccounts {
  return {
    async open(owner, accounts, actor) {
      if (accounts.every(({ parentId }) => parentId === null))
        return openAccounts(db, db, owner, accounts, actor);
      return db.transaction(async (tx) => {
        // A statement of its own: the next one sees what others did to the trees before.
        await tx.query((sql) => sql`SELECT lock_account_tree(${owner}, true)`);
        return openAccounts(db, tx, owner, accounts, actor);
      });
    },
    async set(owner, settings, actor) {
      const outcomes: BulkOutcome[] = [];
      for (let from = 0; from < settings.length; from += CHANGED_MAX)
        outcomes.push(...(await setAccounts(db, owner, settings.slice(from, from + CHANGED_MAX), actor)));
      return outcomes;
    },
  };
}

async function openAccounts(
  db: Database,
  tx: Queryable,
  owner: string,
  accounts: readonly BulkAccount[],
  actor: Actor,
): Promise<BulkOutcome[]> {
  const given = db.fragment`(SELECT *, row_number() OVER () AS nth
    FROM json_to_recordset(${JSON.stringify(accounts)}::text::json) AS x(
      id uuid, ledger text, name text, kind text, "allowNegative" boolean, metadata jsonb, "acceptsFrom" jsonb,
      "acceptsUpTo" bigint, "balanceMin" bigint, "parentId" uuid)
    LEFT JOIN LATERAL check_account_parent(id, ${owner}, ledger, "parentId") ON "parentId" IS NOT NULL) given`;
  const opened = await tx.query(
    (sql) => sql<{ id: string }[]>`
      WITH opened AS (
        INSERT INTO accounts (id, owner, ledger, name, kind, allow_negative, metadata, accepts_from, accepts_up_to,
          balance_min, parent_id)
        SELECT id, ${owner}, ledger, name, kind, "allowNegative", metadata, "acceptsFrom", "acceptsUpTo",
          "balanceMin", "parentId"
        FROM ${given} WHERE refusal IS NULL ORDER BY id ON CONFLICT (id) DO NOTHING RETURNING *
      ), ${openedEvent(db.fragment)},
      audited AS (${auditFragment(db.fragment, actor, ['account', 'created'], openedContent(db.fragment))})
      SELECT id FROM opened`,
  );
  const isNew = new Set(opened.map(({ id }) => id));
  if (isNew.size === accounts.length) return accounts.map(() => 'posted');
  const found = await tx.query(
    (sql) => sql<{ outcome: BulkOutcome }[]>`
      SELECT CASE
          WHEN a.owner = ${owner} AND (a.ledger, a.kind, a.allow_negative) IS NOT DISTINCT FROM
              (given.ledger, given.kind, given."allowNegative")
            AND ((a.name, a.metadata) IS NOT DISTINCT FROM (given.name, given.metadata)
              OR EXISTS (SELECT FROM changed_accounts c WHERE c.account_id = a.id AND is_redescribed)) THEN 'exists'
          WHEN a.id IS NULL AND refusal IS NOT NULL THEN refusal
          ELSE 'account_id_taken' END AS outcome
      FROM ${given} LEFT JOIN accounts a ON a.id = given.id ORDER BY nth`,
  );
  return accounts.map(({ id }, i) => (isNew.delete(id) ? 'posted' : found[i]!.outcome));
}

async function setAccounts(
  db: Database,
  owner: string,
  settings: readonly BulkSettings[],
  actor: Actor,
): Promise<BulkOutcome[]> {
  const given = settings.map(({ id, isClosed, isOverdrawn, ...change }) => ({
    id,
    isClosed,
    change: { ...change, ...(isOverdrawn && { overdrawn: true }) },
    key: createReservedId('account change'),
  }));
  const audited = (kind: ChangeKind) =>
    auditFragment(
      db.fragment,
      actor,
      ['account', kind],
      db.fragment`SELECT (account).owner, (account).id, before, after FROM done
        WHERE outcome = 'changed' AND kind = ${kind}`,
    );
  const rows = await db.query(
    (sql) => sql<{ outcome: BulkOutcome | 'changed' | 'unchanged' }[]>`
      WITH placed AS (
        SELECT given.*, a.closed_at IS NOT NULL AS was_closed
        FROM (SELECT *, row_number() OVER () AS nth FROM json_to_recordset(${JSON.stringify(given)}::text::json)
          AS x(id uuid, "isClosed" boolean, change jsonb, key uuid)) given
        LEFT JOIN accounts a ON a.id = given.id AND a.owner = ${owner}
        -- In the order in which batches lock accounts.
        ORDER BY given.id
      ), done AS (
        SELECT nth, CASE WHEN "isClosed" = was_closed THEN 'updated' WHEN "isClosed" THEN 'closed' ELSE 'reopened' END
          AS kind, changed.*
        FROM placed CROSS JOIN LATERAL change_account(${owner}, id, NULL, CASE WHEN "isClosed" = was_closed THEN change
          ELSE change || jsonb_build_object('closed', "isClosed") END, key) changed
      ), updated AS (${audited('updated')}), closed AS (${audited('closed')}), reopened AS (${audited('reopened')})
      SELECT outcome FROM done ORDER BY nth`,
  );
  return rows.map(({ outcome }) =>
    outcome === 'changed' ? 'posted' : outcome === 'unchanged' ? 'exists' : outcome,
  );
}
