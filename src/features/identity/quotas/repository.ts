import { auditFragment } from '../../../adapters/postgres/audit.ts';
import type { Database, QueryOptions } from '../../../adapters/postgres/database.ts';
import type { Fragment } from '../../../adapters/postgres/query.ts';
import type { Actor } from '../../../utils/actor.ts';
import type { Quota, QuotaSubject } from '../quota.ts';

/** A quota that operators have set. */
export interface StoredQuota extends Quota {
  readonly changedAt: Date;
}

/** The quotas that operators have set, in PostgreSQL. */
export interface QuotaRepository {
  /** Returns undefined if there is no such key or organization, and null if nothing was set for it. */
  find(subject: QuotaSubject, options: QueryOptions): Promise<StoredQuota | null | undefined>;
  /** Lists what was set after the one of this subject, by kind and ID. */
  list(
    after: QuotaSubject | null,
    limit: number,
    signal: AbortSignal,
  ): Promise<{ quotas: (StoredQuota & QuotaSubject)[]; hasMore: boolean }>;
  /** Returns undefined if nothing changed: it was set to the same, or there is no such key or organization. */
  save(
    subject: QuotaSubject,
    quota: Quota,
    actor: Actor,
    options: QueryOptions,
  ): Promise<StoredQuota | undefined>;
  /** Returns whether there is such a key or organization. */
  remove(subject: QuotaSubject, actor: Actor, signal: AbortSignal): Promise<boolean>;
}

export function createQuotaRepository(db: Database): QuotaRepository {
  const columns = db.fragment`q.requests_per_second, q.burst, q.concurrent_requests, q.changed_at`;
  const existing = ({ kind, id }: QuotaSubject) =>
    kind === 'key'
      ? db.fragment`(SELECT id, owner FROM api_keys WHERE id = ${id} AND kind <> 'operator')`
      : db.fragment`(SELECT id, id AS owner FROM organizations WHERE id = ${id})`;
  const content = db.fragment`jsonb_build_object('kind', q.subject_kind, 'requestsPerSecond', q.requests_per_second,
    'burst', q.burst, 'concurrentRequests', q.concurrent_requests)`;
  // Waits for a change in progress, which it then shows.
  const former = ({ kind, id }: QuotaSubject) => db.fragment`
    SELECT ${content} AS former FROM quotas q WHERE q.subject_kind = ${kind} AND q.subject_id = ${id}
    FOR NO KEY UPDATE`;
  const audited = (actor: Actor, did: string, changed: Fragment) =>
    auditFragment(db.fragment, actor, ['quota', did], changed);
  return {
    async find(subject, options) {
      const [found] = await db.query(
        (sql) => sql<[(StoredQuota | { changedAt: null })?]>`
          SELECT ${columns} FROM ${existing(subject)} existing
            LEFT JOIN quotas q ON q.subject_kind = ${subject.kind} AND q.subject_id = existing.id`,
        options,
      );
      return found?.changedAt === null ? null : found;
    },
    async list(after, limit, signal) {
      const later =
        after && db.fragment`WHERE (q.subject_kind, q.subject_id) > (${after.kind}::text, ${after.id}::text)`;
      const rows = await db.query(
        (sql) => sql<(StoredQuota & QuotaSubject)[]>`
          SELECT q.subject_kind AS kind, q.subject_id AS id, ${columns} FROM quotas q ${later ?? sql``}
           ORDER BY q.subject_kind, q.subject_id LIMIT ${limit + 1}`,
        { signal },
      );
      return { quotas: rows.slice(0, limit), hasMore: rows.length > limit };
    },
    async save(subject, { requestsPerSecond, burst, concurrentRequests }, actor, options) {
      const [saved] = await db.query(
        (sql) => sql<[StoredQuota?]>`
          WITH former AS (${former(subject)}), saved AS (
          INSERT INTO quotas AS q (subject_kind, subject_id, requests_per_second, burst, concurrent_requests)
          SELECT ${subject.kind}, id, ${requestsPerSecond}::int, ${burst}::int, ${concurrentRequests}::int
            FROM ${existing(subject)} existing LEFT JOIN former ON true
          ON CONFLICT (subject_kind, subject_id) DO UPDATE
             SET requests_per_second = excluded.requests_per_second, burst = excluded.burst,
                 concurrent_requests = excluded.concurrent_requests, changed_at = excluded.changed_at
           WHERE (q.requests_per_second, q.burst, q.concurrent_requests) IS DISTINCT FROM
                 (excluded.requests_per_second, excluded.burst, excluded.concurrent_requests)
          RETURNING *
          ), audited AS (${audited(
            actor,
            'set',
            db.fragment`SELECT e.owner, e.id, former, ${content} FROM ${existing(subject)} e, saved q
              LEFT JOIN former ON true`,
          )})
          SELECT ${columns} FROM saved q`,
        options,
      );
      return saved;
    },
    async remove(subject, actor, signal) {
      const found = await db.query(
        (sql) => sql`
          WITH removed AS (
            DELETE FROM quotas WHERE subject_kind = ${subject.kind} AND subject_id = ${subject.id} RETURNING *
          ), audited AS (${audited(
            actor,
            'reset',
            db.fragment`SELECT e.owner, e.id, ${content}, NULL::jsonb FROM removed q, ${existing(subject)} e`,
          )})
          SELECT FROM ${existing(subject)} existing`,
        { signal },
      );
      return found.count === 1;
    },
  };
}
