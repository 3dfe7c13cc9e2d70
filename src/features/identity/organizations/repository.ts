import { auditFragment, recordAudit } from '../../../adapters/postgres/audit.ts';
import type { Database, QueryOptions } from '../../../adapters/postgres/database.ts';
import { rowsWithin, type SizedRow, takePage } from '../../../adapters/postgres/page-of-bytes.ts';
import type { Fragment, Queryable } from '../../../adapters/postgres/query.ts';
import type { Actor } from '../../../utils/actor.ts';
import { ORGANIZATIONS_OF_USER_MAX } from '../role-limits.ts';
import type { Role } from '../roles.ts';

/** An organization, which owns everything that its keys create. */
export interface Organization {
  readonly id: string;
  readonly name: string;
  readonly createdAt: Date;
  /** Since when its keys are refused; null if they are not. */
  readonly suspendedAt: Date | null;
}

/** An organization with the role that a user has in it. */
export interface OwnOrganization extends Organization {
  readonly role: Role;
}

/** A transaction, which only repositories know how to use. */
export type Tx = Queryable;

/** Organizations in PostgreSQL. Those that are handed a transaction run in it. */
export interface OrganizationRepository {
  transaction: Database['transaction'];
  /** Returns undefined if there is none with this ID. */
  find(id: string, signal?: AbortSignal): Promise<Organization | undefined>;
  /** Lists the organizations after the one with this ID, by ID. A page also ends at `PAGE_BYTES_MAX`. */
  list(
    afterId: string | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ organizations: Organization[]; hasMore: boolean }>;
  /** Creates an organization, or renames it. */
  save(
    id: string,
    name: string,
    actor: Actor,
    options?: QueryOptions,
  ): Promise<Organization & { isNew: boolean }>;
  /** Suspends an organization, or reinstates it. Returns undefined if there is none with this ID. */
  setSuspended(
    id: string,
    isSuspended: boolean,
    actor: Actor,
    options?: QueryOptions,
  ): Promise<Organization | undefined>;
  /** Lists all organizations of a user, by ID. */
  listOf(userId: string, signal?: AbortSignal): Promise<OwnOrganization[]>;
  /** Counts what a user owns, and returns whether any of it is not suspended. Locks the user. */
  countOwned(tx: Tx, userId: string): Promise<{ owned: number; active: boolean }>;
  insert(tx: Tx, id: string, name: string, actor: Actor): Promise<Organization>;
  /** Renames an organization. Returns undefined if there is none with this ID. */
  rename(tx: Tx, id: string, name: string, actor: Actor): Promise<Organization | undefined>;
}

// Of one without its ID and name.
const ORGANIZATION_BYTES = 200;

export function createOrganizationRepository(db: Database): OrganizationRepository {
  const columns = db.fragment`id, name, created_at, suspended_at`;
  const content = db.fragment`jsonb_build_object('name', name, 'suspendedAt', suspended_at)`;
  // Waits for a change in progress, which it then shows.
  const former = (id: string) =>
    db.fragment`SELECT id AS former_id, ${content} AS former FROM organizations WHERE id = ${id} FOR NO KEY UPDATE`;
  const audited = (actor: Actor, did: string, changed: Fragment) =>
    auditFragment(db.fragment, actor, ['organization', did], changed);
  const find = async (id: string, options?: QueryOptions): Promise<Organization | undefined> => {
    const [found] = await db.query(
      (sql) => sql<[Organization?]>`SELECT ${columns} FROM organizations WHERE id = ${id}`,
      options,
    );
    return found;
  };
  return {
    find: (id, signal) => find(id, { signal }),
    async list(afterId, limit, signal) {
      const rows = await db.query(
        (sql) => sql<(Organization & SizedRow)[]>`
          SELECT ${columns}, bytes_so_far FROM (${rowsWithin(sql, {
            source: sql`
              SELECT * FROM organizations ${afterId === null ? sql`` : sql`WHERE id > ${afterId}`}
               ORDER BY id LIMIT ${limit + 1}`,
            order: sql`id`,
            document: sql`id || name`,
            otherBytes: ORGANIZATION_BYTES,
          })}) page ORDER BY nth`,
        { signal },
      );
      const { page, hasMore } = takePage(rows, limit);
      return { organizations: page.map(({ bytesSoFar: _, ...organization }) => organization), hasMore };
    },
    async save(id, name, actor, options) {
      // Returns no row if it changes nothing. Only a row that was just inserted has no transaction that changed it.
      const [saved] = await db.query(
        (sql) => sql<[(Organization & { isNew: boolean })?]>`
          WITH former AS (${former(id)}), saved AS (
            INSERT INTO organizations AS o (id, name)
            SELECT ${id}::text, ${name}::text FROM (VALUES (1)) one LEFT JOIN former ON true
            ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE o.name <> excluded.name
            RETURNING *, o.xmax = 0 AS is_new
          ), audited AS (${audited(
            actor,
            'saved',
            db.fragment`SELECT id, id, former, ${content} FROM saved LEFT JOIN former ON true`,
          )})
          SELECT ${columns}, is_new FROM saved`,
        options,
      );
      return saved ?? { ...(await find(id, options))!, isNew: false };
    },
    async setSuspended(id, isSuspended, actor, options) {
      // Who is suspended already stays so since then.
      const suspendedAt = isSuspended ? db.fragment`coalesce(suspended_at, now())` : db.fragment`NULL`;
      const [changed] = await db.query(
        (sql) => sql<[Organization?]>`
          WITH former AS (${former(id)}), changed AS (
            UPDATE organizations SET suspended_at = ${suspendedAt} FROM former WHERE id = former_id RETURNING *
          ), audited AS (${audited(
            actor,
            isSuspended ? 'suspended' : 'reinstated',
            db.fragment`SELECT id, id, former, ${content} FROM changed WHERE former IS DISTINCT FROM ${content}`,
          )})
          SELECT ${columns} FROM changed`,
        options,
      );
      return changed;
    },
    transaction: (work, options) => db.transaction(work, options),
    ...ofMembers(db),
  };
}

type OfMembers = 'listOf' | 'countOwned' | 'insert' | 'rename';

function ofMembers(db: Database): Pick<OrganizationRepository, OfMembers> {
  const columns = db.fragment`id, name, created_at, suspended_at`;
  const record = (tx: Tx, actor: Actor, organization: string, change: { before?: object; after: object }) =>
    recordAudit(tx, actor, {
      action: 'organization.saved',
      organization,
      target: { type: 'organization', id: organization },
      ...change,
    });
  return {
    listOf: (userId, signal) =>
      db.query(
        (sql) => sql<OwnOrganization[]>`
          SELECT o.id, o.name, o.created_at, o.suspended_at, m.role
          FROM memberships m JOIN organizations o ON o.id = m.organization
          WHERE m.user_id = ${userId} ORDER BY m.organization LIMIT ${ORGANIZATIONS_OF_USER_MAX}`,
        { signal },
      ),
    async countOwned(tx, userId) {
      await tx.query((sql) => sql`SELECT FROM users WHERE id = ${userId} FOR NO KEY UPDATE`);
      // A statement of its own, so that it sees what was stored while this one waited.
      const [row] = await tx.query(
        (sql) => sql<[{ owned: number; active: boolean }]>`
          SELECT count(*)::int AS owned, coalesce(bool_or(o.suspended_at IS NULL), false) AS active
          FROM memberships m JOIN organizations o ON o.id = m.organization
          WHERE m.user_id = ${userId} AND m.role = 'owner'`,
      );
      return row;
    },
    async insert(tx, id, name, actor) {
      const [organization] = await tx.query(
        (sql) => sql<[Organization]>`
          INSERT INTO organizations (id, name) VALUES (${id}, ${name}) RETURNING ${columns}`,
      );
      await record(tx, actor, id, { after: { name, suspendedAt: null } });
      return organization;
    },
    async rename(tx, id, name, actor) {
      const [former] = await tx.query(
        (sql) => sql<Organization[]>`SELECT ${columns} FROM organizations WHERE id = ${id} FOR NO KEY UPDATE`,
      );
      if (former === undefined || former.name === name) return former;
      await tx.query((sql) => sql`UPDATE organizations SET name = ${name} WHERE id = ${id}`);
      const { suspendedAt } = former;
      await record(tx, actor, id, {
        before: { name: former.name, suspendedAt },
        after: { name, suspendedAt },
      });
      return { ...former, name };
    },
  };
}
