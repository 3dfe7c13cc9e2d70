import { recordAudit } from '../../../adapters/postgres/audit.ts';
import type { Database } from '../../../adapters/postgres/database.ts';
import type { Queryable } from '../../../adapters/postgres/query.ts';
import type { Actor } from '../../../utils/actor.ts';
import type { User } from '../user.ts';
import {
  FLOW_MINUTES,
  IDENTITIES_PER_USER_MAX,
  type LinkedIdentity,
  type PendingIdentity,
  type StoredIdentity,
} from './domain.ts';

/** A transaction, which only repositories know how to use. */
export type Tx = Queryable;

/** Identities at providers, in PostgreSQL. */
export interface IdentityRepository {
  transaction: Database['transaction'];
  /** Returns the user with this identity. */
  findUser(identity: LinkedIdentity, signal?: AbortSignal): Promise<Pick<User, 'id' | 'email'> | null>;
  /** Links an identity to a user, and audits it. Returns whether it is the user's now, and was not before. */
  link(tx: Tx, actor: Actor, userId: string, identity: LinkedIdentity): Promise<'linked' | 'known' | 'taken'>;
  /** Ends a link, and what is pending for it, and audits it. */
  unlink(tx: Tx, actor: Actor, userId: string, identity: LinkedIdentity): Promise<void>;
  /** Returns the identities of a user, the oldest first. */
  list(userId: string, signal?: AbortSignal): Promise<StoredIdentity[]>;
  listIn(tx: Tx, userId: string): Promise<StoredIdentity[]>;
  /** Makes a user who never confirmed the address one of the person whose it is: without the password of before. */
  adopt(tx: Tx, userId: string, name: string): Promise<void>;
  storePending(hash: Buffer, pending: PendingIdentity): Promise<void>;
  findPending(hash: Buffer, signal?: AbortSignal): Promise<PendingIdentity | null>;
  /** Returns whether it was pending still: of two that use it at once, one gets false. */
  consumePending(tx: Tx, hash: Buffer): Promise<boolean>;
  /** Deletes those that have ended, in steps. */
  forget(): Promise<void>;
}

const FORGET_ROWS_MAX = 1000;

export function createIdentityRepository(db: Database): IdentityRepository {
  const ofUser = (userId: string) => db.fragment`
    SELECT issuer, subject, created_at AS linked_at FROM user_identities
    WHERE user_id = ${userId} ORDER BY created_at, issuer, subject LIMIT ${IDENTITIES_PER_USER_MAX}`;
  return {
    transaction: (work, options) => db.transaction(work, options),
    async findUser({ issuer, subject }, signal) {
      const [user] = await db.query(
        (sql) => sql<Pick<User, 'id' | 'email'>[]>`
          SELECT id, email FROM users WHERE id = (
            SELECT user_id FROM user_identities WHERE issuer = ${issuer} AND subject = ${subject})`,
        { signal },
      );
      return user ?? null;
    },
    async link(tx, actor, userId, { issuer, subject }) {
      const { count } = await tx.query(
        (sql) => sql`
          INSERT INTO user_identities (issuer, subject, user_id) SELECT ${issuer}, ${subject}, ${userId}
          WHERE (SELECT count(*) FROM user_identities WHERE user_id = ${userId}) < ${IDENTITIES_PER_USER_MAX}
          ON CONFLICT DO NOTHING`,
      );
      if (count === 0) {
        const rows = await tx.query(
          (sql) => sql`
            SELECT FROM user_identities WHERE issuer = ${issuer} AND subject = ${subject} AND user_id = ${userId}`,
        );
        return rows.length > 0 ? 'known' : 'taken';
      }
      const target = { type: 'user', id: userId };
      const after = { issuer, subject };
      await recordAudit(tx, actor, { action: 'user.identity_linked', organization: '', target, after });
      return 'linked';
    },
    async unlink(tx, actor, userId, { issuer, subject }) {
      const linked = db.fragment`user_id = ${userId} AND issuer = ${issuer} AND subject = ${subject}`;
      await tx.query((sql) => sql`DELETE FROM user_identities WHERE ${linked}`);
      // Or a sign-in that waits for its second factor would link it again.
      await tx.query((sql) => sql`DELETE FROM pending_identities WHERE ${linked}`);
      const target = { type: 'user', id: userId };
      const before = { issuer, subject };
      await recordAudit(tx, actor, { action: 'user.identity_unlinked', organization: '', target, before });
    },
    list: (userId, signal) => db.query((sql) => sql<StoredIdentity[]>`${ofUser(userId)}`, { signal }),
    listIn: (tx, userId) => tx.query((sql) => sql<StoredIdentity[]>`${ofUser(userId)}`),
    async adopt(tx, userId, name) {
      await tx.query((sql) => sql`DELETE FROM one_time_tokens WHERE user_id = ${userId}`);
      await tx.query(
        (sql) => sql`
          UPDATE users SET password_hash = NULL, name = ${name}, confirmed_at = now(), updated_at = now()
          WHERE id = ${userId} AND confirmed_at IS NULL`,
      );
    },
    async storePending(hash, { issuer, subject, userId, needsPassword }) {
      await db.query(
        (sql) => sql`
          INSERT INTO pending_identities (secret_hash, issuer, subject, user_id, needs_password, expires_at)
          SELECT ${hash}, ${issuer}, ${subject}, id, ${needsPassword},
            now() + make_interval(mins => ${FLOW_MINUTES}) FROM users WHERE id = ${userId}
          ON CONFLICT (issuer, subject) DO UPDATE SET secret_hash = excluded.secret_hash,
            user_id = excluded.user_id, needs_password = excluded.needs_password, expires_at = excluded.expires_at`,
      );
    },
    async findPending(hash, signal) {
      const [pending] = await db.query(
        (sql) => sql<PendingIdentity[]>`
          SELECT p.issuer, p.subject, p.user_id, p.needs_password, u.email
          FROM pending_identities p JOIN users u ON u.id = p.user_id
          WHERE p.secret_hash = ${hash} AND p.expires_at > now()`,
        { signal },
      );
      return pending ?? null;
    },
    async consumePending(tx, hash) {
      const { count } = await tx.query(
        (sql) => sql`DELETE FROM pending_identities WHERE secret_hash = ${hash} AND expires_at > now()`,
      );
      return count === 1;
    },
    async forget() {
      for (let count = FORGET_ROWS_MAX; count === FORGET_ROWS_MAX; )
        ({ count } = await db.query(
          (sql) => sql`
            DELETE FROM pending_identities WHERE secret_hash = ANY (ARRAY(
              SELECT secret_hash FROM pending_identities WHERE expires_at <= now()
              ORDER BY expires_at LIMIT ${FORGET_ROWS_MAX}))`,
        ));
    },
  };
}
