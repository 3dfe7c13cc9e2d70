import { recordAudit } from '../../../adapters/postgres/audit.ts';
import type { Database, QueryOptions } from '../../../adapters/postgres/database.ts';
import type { Fragment, Queryable } from '../../../adapters/postgres/query.ts';
import type { Actor } from '../../../utils/actor.ts';
import type { Quota } from '../quota.ts';
import type { Role } from '../roles.ts';
import { RECENT_MINUTES, SESSIONS_PER_USER_MAX, type Session, type SessionLimits } from '../session.ts';

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
  /** Undefined for now. */
  readonly authenticatedAt?: Date | undefined;
}

/** What a session gets when it is rotated. */
export interface SessionRotation {
  readonly id: string;
  readonly secretHash: Uint8Array;
  /** Undefined if it stays the same. */
  readonly organization?: string | undefined;
}

/** Sessions in PostgreSQL. Those that are handed a transaction run in it. */
export interface SessionRepository {
  transaction: Database['transaction'];
  /** Stores a session that starts now. */
  insert(tx: Tx, session: SessionToInsert): Promise<Session>;
  /** Ends the oldest sessions of the user, so that another one can start, and returns them. Locks the user. */
  makeRoom(tx: Tx, userId: string): Promise<Session[]>;
  /** Ends a session of the user, and returns it; null if there is none. */
  end(tx: Tx, userId: string, id: string): Promise<Session | null>;
  /** Ends all sessions of the user but this one, and returns them. */
  endAll(tx: Tx, userId: string, exceptId: string | null): Promise<Session[]>;
  /** Gives a session another token, so that the former one ends. Returns null if there is none that may be used. */
  rotate(tx: Tx, userId: string, id: string, next: SessionRotation): Promise<Session | null>;
  /** Returns the sessions of the user that may be used, the oldest first. */
  list(userId: string, signal?: AbortSignal): Promise<Session[]>;
  /** Deletes sessions that have ended, in steps. */
  forget(): Promise<void>;
  /**
   * Writes what was done to a session into the audit log: for its organization, as long as the user is a member. What
   * people do after they left, and from where, is not for those whom they left.
   */
  record(tx: Tx, actor: Actor, did: 'created' | 'rotated' | 'ended', session: Session): Promise<void>;
  /** Returns the organization of the user to act for if none is named: the first that they joined. Empty if none. */
  firstOrganization(tx: Tx, userId: string): Promise<string>;
  isMember(tx: Tx, userId: string, organization: string): Promise<boolean>;
  /**
   * Returns the session with the hash of its secret, unless it has ended by the clock of the database, or its user is
   * locked out or not confirmed.
   */
  findUsable(id: string, options: QueryOptions): Promise<UsableSession | null>;
  /**
   * Returns whether a session of the user may be used, and its person signed in within the last minutes. In a
   * transaction, which has locked the user, nobody can end it until that ends.
   */
  isRecent(userId: string, id: string, options: QueryOptions): Promise<boolean>;
  /** Saves that these were used now. */
  touch(ids: readonly string[]): Promise<void>;
}

const FORGET_ROWS_MAX = 1000;

export function createSessionRepository(db: Database, limits: SessionLimits): SessionRepository {
  const reads = sessionReads(db, limits);
  return {
    transaction: (work, options) => db.transaction(work, options),
    async record(tx, actor, did, { id, userId, organization, address, userAgent }) {
      const isMember = await reads.isMember(tx, userId, organization);
      await recordAudit(tx, actor, {
        action: `session.${did}`,
        organization: isMember ? organization : '',
        target: { type: 'session', id },
        [did === 'ended' ? 'before' : 'after']: { userId, address, userAgent },
      });
    },
    ...reads,
    ...sessionChanges(db, limits),
  };
}

type Reads = 'findUsable' | 'list' | 'firstOrganization' | 'isMember' | 'isRecent';

function fragmentsOf(db: Database, { idleHours }: SessionLimits) {
  const columns = db.fragment`id, user_id, organization, authenticated_at, created_at, last_used_at, expires_at,
    address, user_agent`;
  const idleSince = db.fragment`now() - make_interval(hours => ${idleHours})`;
  const usable = db.fragment`expires_at > now() AND last_used_at > ${idleSince}`;
  return { columns, idleSince, usable };
}

function sessionReads(db: Database, limits: SessionLimits): Pick<SessionRepository, Reads> {
  const { columns, usable } = fragmentsOf(db, limits);
  return {
    async findUsable(id, options) {
      const [session] = await db.query(
        (sql) => sql<UsableSession[]>`
          SELECT s.id, s.secret_hash, s.user_id, s.organization, m.role,
                 EXISTS (SELECT FROM organizations o
                         WHERE o.id = s.organization AND o.suspended_at IS NOT NULL) AS suspended,
                 (SELECT jsonb_build_object('requestsPerSecond', requests_per_second, 'burst', burst,
                                            'concurrentRequests', concurrent_requests)
                  FROM quotas WHERE subject_kind = 'organization' AND subject_id = s.organization)
                   AS organization_quota
          FROM (SELECT * FROM sessions WHERE id = ${id} AND ${usable}) s
          JOIN users u ON u.id = s.user_id AND u.locked_at IS NULL AND u.confirmed_at IS NOT NULL
          LEFT JOIN memberships m ON m.organization = s.organization AND m.user_id = s.user_id`,
        options,
      );
      return session ?? null;
    },
    async list(userId, signal) {
      return db.query(
        (sql) => sql<Session[]>`
          SELECT ${columns} FROM sessions WHERE user_id = ${userId} AND ${usable}
          ORDER BY created_at, id LIMIT ${SESSIONS_PER_USER_MAX}`,
        { signal },
      );
    },
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
    async isRecent(userId, id, options) {
      const rows = await db.query(
        (sql) => sql`
          SELECT FROM sessions WHERE id = ${id} AND user_id = ${userId} AND ${usable}
            AND authenticated_at > now() - make_interval(mins => ${RECENT_MINUTES}) FOR SHARE`,
        options,
      );
      return rows.length > 0;
    },
  };
}

function sessionChanges(
  db: Database,
  limits: SessionLimits,
): Omit<SessionRepository, Reads | 'transaction' | 'record'> {
  const { columns, idleSince, usable } = fragmentsOf(db, limits);
  // Rows are locked in the same order everywhere, so that two statements never wait for each other.
  const locked = (which: Fragment) =>
    db.fragment`ARRAY(SELECT id FROM sessions WHERE ${which} ORDER BY id FOR UPDATE)`;
  return {
    async insert(tx, { id, secretHash, userId, organization, authenticatedAt, address, userAgent }) {
      const [session] = await tx.query(
        (sql) => sql<[Session]>`
          INSERT INTO sessions (
            id, secret_hash, user_id, organization, authenticated_at, expires_at, address, user_agent)
          VALUES (${id}, ${secretHash as Buffer}, ${userId}, ${organization},
            least(now(), ${authenticatedAt ?? null}), now() + make_interval(days => ${limits.daysMax}), ${address},
            ${userAgent})
          RETURNING ${columns}`,
      );
      return session;
    },
    async makeRoom(tx, userId) {
      // One session of a user starts at a time, so that none escapes the limit.
      await tx.query((sql) => sql`SELECT FROM users WHERE id = ${userId} FOR NO KEY UPDATE`);
      return tx.query(
        (sql) => sql<Session[]>`
          DELETE FROM sessions WHERE id = ANY (${locked(db.fragment`id IN (
            SELECT id FROM sessions WHERE user_id = ${userId}
            ORDER BY created_at DESC, id DESC OFFSET ${SESSIONS_PER_USER_MAX - 1})`)})
          RETURNING ${columns}`,
      );
    },
    async end(tx, userId, id) {
      const [session] = await tx.query(
        (sql) =>
          sql<Session[]>`DELETE FROM sessions WHERE id = ${id} AND user_id = ${userId} RETURNING ${columns}`,
      );
      return session ?? null;
    },
    async endAll(tx, userId, exceptId) {
      return tx.query(
        (sql) => sql<Session[]>`
          DELETE FROM sessions
          WHERE id = ANY (${locked(db.fragment`user_id = ${userId} AND id IS DISTINCT FROM ${exceptId}`)})
          RETURNING ${columns}`,
      );
    },
    async rotate(tx, userId, id, next) {
      const [session] = await tx.query(
        (sql) => sql<Session[]>`
          UPDATE sessions SET id = ${next.id}, secret_hash = ${next.secretHash as Buffer}, last_used_at = now(),
            organization = coalesce(${next.organization ?? null}, organization)
          WHERE id = ${id} AND user_id = ${userId} AND ${usable} RETURNING ${columns}`,
      );
      return session ?? null;
    },
    async touch(ids) {
      await db.query(
        (sql) => sql`
          UPDATE sessions SET last_used_at = now()
          WHERE id = ANY (${locked(db.fragment`id = ANY (${ids as string[]})`)})`,
      );
    },
    async forget() {
      for (let count = FORGET_ROWS_MAX; count === FORGET_ROWS_MAX; ) {
        ({ count } = await db.query(
          (sql) => sql`
            DELETE FROM sessions WHERE id = ANY (${locked(db.fragment`id IN (
              SELECT id FROM sessions WHERE expires_at <= now() OR last_used_at <= ${idleSince}
              LIMIT ${FORGET_ROWS_MAX})`)})`,
        ));
      }
    },
  };
}
