import { recordAudit } from '../../../../adapters/postgres/audit.ts';
import type { Database } from '../../../../adapters/postgres/database.ts';
import type { Queryable } from '../../../../adapters/postgres/query.ts';
import type { Actor } from '../../../../utils/actor.ts';
import type { Role } from '../../roles.ts';

/** A user as operators see them. */
export interface UserAccess {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly createdAt: Date;
  /** When they confirmed their address; null if they have not, so that they cannot sign in. */
  readonly confirmedAt: Date | null;
  /** Since when they are locked out; null if they are not. */
  readonly lockedAt: Date | null;
  readonly organizations: readonly { readonly id: string; readonly role: Role }[];
}

/** Users as operators see and lock them, in PostgreSQL. */
export interface UserAccessRepository {
  /** Returns null if nobody has this address, in the form of `normalizeEmail`. */
  findByEmail(email: string, signal?: AbortSignal): Promise<UserAccess | null>;
  transaction: Database['transaction'];
  /** Locks a user out, or lets them in again, in a transaction. Returns null if there is no such user. */
  setLocked(
    tx: Tx,
    id: string,
    isLocked: boolean,
  ): Promise<{ user: UserAccess; formerlyLockedAt: Date | null } | null>;
  /** Writes that a user was locked out, or let in again, into the audit log. */
  record(tx: Tx, actor: Actor, user: UserAccess, formerlyLockedAt: Date | null): Promise<void>;
}

/** A transaction, which only repositories know how to use. */
export type Tx = Queryable;

export function createUserAccessRepository(db: Database): UserAccessRepository {
  const columns = db.fragment`
    id, email, name, created_at, confirmed_at, locked_at,
    coalesce((SELECT jsonb_agg(jsonb_build_object('id', organization, 'role', role) ORDER BY organization)
              FROM memberships WHERE user_id = users.id), '[]') AS organizations`;

  return {
    transaction: (work, options) => db.transaction(work, options),
    async findByEmail(email, signal) {
      const [user] = await db.query(
        (sql) => sql<UserAccess[]>`SELECT ${columns} FROM users WHERE email = ${email}`,
        { signal },
      );
      return user ?? null;
    },
    async setLocked(tx, id, isLocked) {
      const [former] = await tx.query(
        (sql) =>
          sql<{ lockedAt: Date | null }[]>`SELECT locked_at FROM users WHERE id = ${id} FOR NO KEY UPDATE`,
      );
      if (former === undefined) return null;
      const [user] = await tx.query(
        (sql) => sql<[UserAccess]>`
          UPDATE users SET locked_at = ${isLocked ? sql`coalesce(locked_at, now())` : sql`NULL`}, updated_at = now()
          WHERE id = ${id} RETURNING ${columns}`,
      );
      return { user, formerlyLockedAt: former.lockedAt };
    },
    record: (tx, actor, { id, lockedAt }, formerlyLockedAt) =>
      recordAudit(tx, actor, {
        action: lockedAt === null ? 'user.unlocked' : 'user.locked',
        organization: '',
        target: { type: 'user', id },
        before: { lockedAt: formerlyLockedAt },
        after: { lockedAt },
      }),
  };
}
