import type { Database } from '../../../adapters/postgres/database.ts';
import { rowsWithin, type SizedRow, takePage } from '../../../adapters/postgres/page-of-bytes.ts';

/** An organization, which owns everything that its keys create. */
export interface Organization {
  readonly id: string;
  readonly name: string;
  readonly createdAt: Date;
  /** Since when its keys are refused; null if they are not. */
  readonly suspendedAt: Date | null;
}

/** Organizations in PostgreSQL. */
export interface OrganizationRepository {
  /** Returns undefined if there is none with this ID. */
  find(id: string, signal?: AbortSignal): Promise<Organization | undefined>;
  /** Lists the organizations after the one with this ID, by ID. A page also ends at `PAGE_BYTES_MAX`. */
  list(
    afterId: string | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ organizations: Organization[]; hasMore: boolean }>;
  /** Creates an organization, or renames it. */
  save(id: string, name: string, signal?: AbortSignal): Promise<Organization & { isNew: boolean }>;
  /** Suspends an organization, or reinstates it. Returns undefined if there is none with this ID. */
  setSuspended(id: string, isSuspended: boolean, signal?: AbortSignal): Promise<Organization | undefined>;
}

// Of one without its ID and name.
const ORGANIZATION_BYTES = 200;

export function createOrganizationRepository(db: Database): OrganizationRepository {
  const columns = db.fragment`id, name, created_at, suspended_at`;
  return {
    async find(id, signal) {
      const [found] = await db.query(
        (sql) => sql<[Organization?]>`SELECT ${columns} FROM organizations WHERE id = ${id}`,
        { signal },
      );
      return found;
    },
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
    async save(id, name, signal) {
      // Only a row that was just inserted has no transaction that changed it.
      const [saved] = await db.query(
        (sql) => sql<[Organization & { isNew: boolean }]>`
          INSERT INTO organizations AS o (id, name) VALUES (${id}, ${name})
          ON CONFLICT (id) DO UPDATE SET name = excluded.name
          RETURNING ${columns}, o.xmax = 0 AS is_new`,
        { signal },
      );
      return saved;
    },
    async setSuspended(id, isSuspended, signal) {
      // Who is suspended already stays so since then.
      const suspendedAt = isSuspended ? db.fragment`coalesce(suspended_at, now())` : db.fragment`NULL`;
      const [changed] = await db.query(
        (sql) => sql<[Organization?]>`
          UPDATE organizations SET suspended_at = ${suspendedAt} WHERE id = ${id} RETURNING ${columns}`,
        { signal },
      );
      return changed;
    },
  };
}
