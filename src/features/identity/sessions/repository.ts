import { recordAudit } from '../../../adapters/postgres/audit.ts';
import type { Database } from '../../../adapters/postgres/database.ts';
import type { Queryable } from '../../../adapters/postgres/query.ts';
import type { Actor } from '../../../utils/actor.ts';
import type { Quota } from '../quota.ts';
import type { Role } from '../roles.ts';
import { SESSIONS_PER_USER_MAX, type Session, type SessionLimits } from './domain.ts';

/** A transaction, which only repositories know how to use. */
export type Tx = Queryable;

/** A session that may be used, with what its user may do in its organization. */
export interface UsableSession extends Pick<Session, 'id' | 'userId' | 'organization'> {
  readonly secretHash: Uint8Array;
  /** Null if the user is no member of the organization. */
  readonly role: Role | null;
  /** Whether the organization is suspended. */
  readonly suspended: boolean;
  readonly organizationQuota: Quota | null;
}

/** A session to store, with the hash of its secret. */
export interface SessionToInsert
  extends Pick<Session, 'id' | 'userId' | 'organization' | 'address' | 'userAgent'> {
  readonly secretHash: Uint8Array;
}

/** Sessions in PostgreSQL. Those that are handed a transaction run in it. */
export interface SessionRepository {
  transaction: Database['transaction'];
  /** Stores a session that starts now, and ends the oldest ones of the user beyond the limit. */
  insert(tx: Tx, session: SessionToInsert): Promise<Session>;
  /** Writes what was done to a session into the audit log. */
  record(tx: Tx, actor: Actor, did: 'created' | 'ended', session: Session): Promise<void>;
  /** Returns the organization of the user to act for if none is named: the first that they joined. Empty if none. */
  firstOrganization(tx: Tx, userId: string): Promise<string>;
  isMember(tx: Tx, userId: string, organization: string): Promise<boolean>;
  /**
   * Returns the session with the hash of its secret, unless it has ended by the clock of the database, or its user is
   * locked out or not confirmed.
   */
  findUsable(id: string, signal?: AbortSignal): Promise<UsableSession | null>;
  /** Saves that these were used now. */
  touch(ids: readonly string[]): Promise<void>;
}

export function createSessionRepository(
  db: Database,
  { idleHours, daysMax }: SessionLimits,
): SessionRepository {
  const columns = db.fragment`id, user_id, organization, authenticated_at, created_at, last_used_at, expires_at,
    address, user_agent`;
  const usable = db.fragment`
    s.expires_at > now() AND s.last_used_at > now() - make_interval(hours => ${idleHours})`;
  return {
    transaction: (work, options) => db.transaction(work, options),
    async insert(tx, { id, secretHash, userId, organization, address, userAgent }) {
      // One session of a user starts at a time, so that none escapes the limit.
      await tx.query((sql) => sql`SELECT FROM users WHERE id = ${userId} FOR NO KEY UPDATE`);
      await tx.query(
        (sql) => sql`
          DELETE FROM sessions WHERE id = ANY (ARRAY(
            SELECT id FROM sessions WHERE user_id = ${userId}
            ORDER BY created_at DESC, id DESC OFFSET ${SESSIONS_PER_USER_MAX - 1}))`,
      );
      const [session] = await tx.query(
        (sql) => sql<[Session]>`
          INSERT INTO sessions (id, secret_hash, user_id, organization, expires_at, address, user_agent)
          VALUES (${id}, ${secretHash as Buffer}, ${userId}, ${organization},
            now() + make_interval(days => ${daysMax}), ${address}, ${userAgent})
          RETURNING ${columns}`,
      );
      return session;
    },
    record: (tx, actor, did, { id, userId, organization, address, userAgent }) =>
      recordAudit(tx, actor, {
        action: `session.${did}`,
        organization,
        target: { type: 'session', id },
        [did === 'created' ? 'after' : 'before']: { userId, address, userAgent },
      }),
    async firstOrganization(tx, userId) {
      const [row] = await tx.query(
        (sql) => sql<{ organization: string }[]>`
          SELECT organization FROM memberships WHERE user_id = ${userId} ORDER BY created_at, organization LIMIT 1`,
      );
      return row?.organization ?? '';
    },
    async isMember(tx, userId, organization) {
      const rows = await tx.query(
        (sql) => sql`SELECT FROM memberships WHERE user_id = ${userId} AND organization = ${organization}`,
      );
      return rows.length > 0;
    },
    async findUsable(id, signal) {
      const [session] = await db.query(
        (sql) => sql<UsableSession[]>`
          SELECT s.id, s.secret_hash, s.user_id, s.organization, m.role,
                 EXISTS (SELECT FROM organizations o
                         WHERE o.id = s.organization AND o.suspended_at IS NOT NULL) AS suspended,
                 (SELECT jsonb_build_object('requestsPerSecond', requests_per_second, 'burst', burst,
                                            'concurrentRequests', concurrent_requests)
                  FROM quotas WHERE subject_kind = 'organization' AND subject_id = s.organization)
                   AS organization_quota
          FROM sessions s JOIN users u ON u.id = s.user_id AND u.locked_at IS NULL AND u.confirmed_at IS NOT NULL
          LEFT JOIN memberships m ON m.organization = s.organization AND m.user_id = s.user_id
          WHERE s.id = ${id} AND ${usable}`,
        { signal },
      );
      return session ?? null;
    },
    async touch(ids) {
      await db.query(
        (sql) => sql`UPDATE sessions SET last_used_at = now() WHERE id = ANY (${ids as string[]})`,
      );
    },
  };
}
