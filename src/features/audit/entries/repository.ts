import type { Database } from '../../../adapters/postgres/database.ts';
import { rowsWithin, type SizedRow, takePage } from '../../../adapters/postgres/page-of-bytes.ts';
import type { Actor } from '../../../utils/actor.ts';

/** An entry as it is stored. */
export interface AuditEntry {
  readonly id: string;
  readonly occurredAt: Date;
  readonly actor: Actor;
  readonly action: string;
  readonly targetType: string;
  readonly targetId: string;
  readonly before: object | null;
  readonly after: object | null;
  /** Its position in the chain; null until it is sealed. */
  readonly position: number | null;
}

/** Which entries to list. */
export interface EntryFilter {
  readonly action?: string | undefined;
  readonly actorId?: string | undefined;
  readonly targetId?: string | undefined;
  readonly from?: Date | undefined;
  readonly before?: Date | undefined;
}

/** A position in a list: microseconds since 1970, and the ID of the last entry. */
export interface EntryPosition {
  readonly occurredUs: string;
  readonly id: string;
}

/** Audit entries in PostgreSQL. */
export interface EntryRepository {
  /** Lists entries of an organization, newest first. A page also ends at `PAGE_BYTES_MAX`. */
  list(
    organization: string,
    filter: EntryFilter,
    after: EntryPosition | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ entries: AuditEntry[]; next: EntryPosition | null }>;
}

// About what an entry has besides its JSON.
const ENTRY_BYTES = 600;

export function createEntryRepository(db: Database): EntryRepository {
  return {
    async list(organization, { action, actorId, targetId, from, before }, after, limit, signal) {
      const rows = await db.query(
        (sql) => {
          const none = sql``;
          const conditions = sql`organization = ${organization}
            ${action === undefined ? none : sql`AND action = ${action}`}
            ${actorId === undefined ? none : sql`AND actor->>'id' = ${actorId}`}
            ${targetId === undefined ? none : sql`AND target_id = ${targetId}`}
            ${from === undefined ? none : sql`AND occurred_at >= ${from}`}
            ${before === undefined ? none : sql`AND occurred_at < ${before}`}
            ${
              after === null
                ? none
                : sql`AND (occurred_at, id) < (timestamptz 'epoch'
                    + ${after.occurredUs}::bigint * interval '1 microsecond', ${after.id}::bigint)`
            }`;
          return sql<(AuditEntry & SizedRow & { occurredUs: string })[]>`
            SELECT id::text AS id, occurred_at, actor, action, target_type, target_id, before, after, position,
              (extract(epoch FROM occurred_at) * 1000000)::bigint::text AS occurred_us, bytes_so_far
            FROM (${rowsWithin(sql, {
              source: sql`
                SELECT * FROM audit_entries WHERE ${conditions} ORDER BY occurred_at DESC, id DESC LIMIT ${limit + 1}`,
              order: sql`occurred_at DESC, id DESC`,
              document: sql`coalesce(before::text, '') || coalesce(after::text, '')`,
              otherBytes: ENTRY_BYTES,
            })}) page ORDER BY nth`;
        },
        { signal },
      );
      const { page, hasMore } = takePage(rows, limit);
      const last = page.at(-1);
      return {
        entries: page.map(({ bytesSoFar: _, occurredUs: __, ...entry }) => entry),
        next: hasMore && last ? { occurredUs: last.occurredUs, id: last.id } : null,
      };
    },
  };
}
