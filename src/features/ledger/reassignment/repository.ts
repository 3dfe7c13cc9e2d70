import { auditFragment } from '../../../adapters/postgres/audit.ts';
import type { Database } from '../../../adapters/postgres/database.ts';
import type { Actor } from '../../../utils/actor.ts';

/** Accounts that an operator chooses: by ID, or else those that existed before accounts had an owner. */
export interface Chosen {
  readonly from: string;
  readonly ids: readonly string[] | null;
}

/** Moves accounts of any owner, for operators. */
export interface ReassignmentRepository {
  isOrganization(id: string): Promise<boolean>;
  /**
   * Counts the chosen accounts, and returns those of the IDs that are none and that `to` does not have either, and some of
   * those that have a parent or children.
   */
  count(
    chosen: Chosen,
    to: string,
  ): Promise<{ accounts: number; missing: readonly string[]; inTrees: readonly string[] }>;
  /** Gives up to `limit` of the chosen accounts to another owner. Returns how many. */
  reassign(chosen: Chosen, to: string, limit: number, actor: Actor): Promise<number>;
}

/** The migration that gave all accounts an owner. */
const OWNERS_MIGRATION = 3;
const IN_TREES_MAX = 5;

export function createReassignmentRepository(db: Database): ReassignmentRepository {
  const where = ({ from, ids }: Chosen) =>
    ids === null
      ? db.fragment`owner = ${from} AND created_at <
          (SELECT applied_at FROM schema_migrations WHERE number = ${OWNERS_MIGRATION})`
      : db.fragment`owner = ${from} AND id = ANY (${ids as string[]}::uuid[])`;
  return {
    async isOrganization(id) {
      const [row] = await db.query(
        (sql) =>
          sql<[{ exists: boolean }]>`SELECT EXISTS (SELECT FROM organizations WHERE id = ${id}) AS exists`,
      );
      return row.exists;
    },
    async count(chosen, to) {
      const [row] = await db.query(
        (sql) => sql<[{ accounts: number; missing: string[]; inTrees: string[] }]>`
          SELECT (SELECT count(*) FROM accounts WHERE ${where(chosen)}) AS accounts,
                 ARRAY(SELECT id FROM unnest(${(chosen.ids ?? []) as string[]}::uuid[]) AS given(id)
                   WHERE NOT EXISTS (SELECT FROM accounts a
                     WHERE a.id = given.id AND a.owner IN (${chosen.from}, ${to}))) AS missing,
                 ARRAY(SELECT id FROM accounts a WHERE ${where(chosen)} AND (parent_id IS NOT NULL
                   OR EXISTS (SELECT FROM accounts c WHERE c.parent_id = a.id)) LIMIT ${IN_TREES_MAX}) AS in_trees`,
      );
      return row;
    },
    async reassign(chosen, to, limit, actor) {
      // In the order in which batches lock accounts. Both organizations can see what happened to it, and what caches
      // hold is not read again.
      const [row] = await db.query(
        (sql) => sql<[{ moved: number }]>`
          WITH moved AS (UPDATE accounts SET owner = ${to}, revision = revision + 1 WHERE id IN (
            SELECT id FROM accounts WHERE ${where(chosen)} ORDER BY id LIMIT ${limit} FOR NO KEY UPDATE)
            RETURNING id
          ), renewed AS (
            UPDATE transfer_id_secret SET isolation_epoch = isolation_epoch + 1 WHERE EXISTS (SELECT FROM moved)
          ), audited AS (${auditFragment(
            db.fragment,
            actor,
            ['account', 'reassigned'],
            db.fragment`SELECT organization, id, jsonb_build_object('owner', ${chosen.from}::text),
              jsonb_build_object('owner', ${to}::text) FROM moved, unnest(${[chosen.from, to]}::text[]) organization`,
          )})
          SELECT count(*) AS moved FROM moved`,
      );
      return row.moved;
    },
  };
}
