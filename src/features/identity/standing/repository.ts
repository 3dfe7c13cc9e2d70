import { lockName } from '../../../adapters/postgres/name-lock.ts';
import type { Queryable } from '../../../adapters/postgres/query.ts';
import type { Role } from '../roles.ts';

/** A transaction, which only repositories know how to use. */
export type Tx = Queryable;

/** What keys and sessions may do at this moment, in PostgreSQL. */
export interface StandingRepository {
  /** Locks the organization until the transaction ends. */
  lock(tx: Tx, organization: string): Promise<void>;
  /** Returns the scopes of a key that may be used, or null. */
  scopesOfKey(tx: Tx, keyId: string): Promise<readonly string[] | null>;
  /**
   * Returns whether a session of a user may be used for an organization, or for the user if that is empty, and lets
   * nobody end it until the transaction ends.
   */
  isSession(tx: Tx, sessionId: string, userId: string, organization: string): Promise<boolean>;
  /** Returns the role of a user in an organization, which the transaction has locked; undefined if they have none. */
  roleOf(tx: Tx, userId: string, organization: string): Promise<Role | undefined>;
}

export function createStandingRepository(): StandingRepository {
  return {
    lock: (tx, organization) => lockName(tx, 'organization', organization),
    async scopesOfKey(tx, keyId) {
      const [key] = await tx.query(
        (sql) => sql<{ scopes: string[] }[]>`
          SELECT scopes FROM api_keys
          WHERE id = ${keyId} AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())`,
      );
      return key?.scopes ?? null;
    },
    async isSession(tx, sessionId, userId, organization) {
      // The user before the session, as everywhere where both are locked.
      const users = await tx.query(
        (sql) => sql`SELECT FROM users WHERE id = ${userId} AND locked_at IS NULL FOR KEY SHARE`,
      );
      const sessions = await tx.query(
        (sql) => sql`
          SELECT FROM sessions
          WHERE id = ${sessionId} AND user_id = ${userId} AND expires_at > now()
            AND ${organization} IN ('', organization) FOR SHARE`,
      );
      return users.length > 0 && sessions.length > 0;
    },
    async roleOf(tx, userId, organization) {
      const [membership] = await tx.query(
        (sql) => sql<{ role: Role }[]>`
          SELECT role FROM memberships WHERE organization = ${organization} AND user_id = ${userId}`,
      );
      return membership?.role;
    },
  };
}
