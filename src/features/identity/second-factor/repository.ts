import { recordAudit } from '../../../adapters/postgres/audit.ts';
import type { Database } from '../../../adapters/postgres/database.ts';
import type { Queryable } from '../../../adapters/postgres/query.ts';
import type { Actor } from '../../../utils/actor.ts';
import type { StoredFactor } from './domain.ts';

/** A transaction, which only repositories know how to use. */
export type Tx = Queryable;

/** What was done to a second factor, for the audit log. */
export type FactorChange = 'enabled' | 'removed' | 'reset' | 'recovery_code_used' | 'recovery_codes_replaced';

/** Second factors in PostgreSQL. All run in a transaction. */
export interface SecondFactorRepository {
  transaction: Database['transaction'];
  record(tx: Tx, actor: Actor, did: FactorChange, userId: string): Promise<void>;
  /** Stores a secret that still has to be confirmed. Returns false if there is a confirmed one. */
  enroll(tx: Tx, userId: string, record: string): Promise<boolean>;
  find(tx: Tx, userId: string): Promise<StoredFactor | null>;
  /** Makes an enrolled secret count, and its step used. Returns false if it is another one now, or counts already. */
  confirm(tx: Tx, userId: string, record: string, step: number): Promise<boolean>;
  /** Returns whether this step of a confirmed secret, or a later one, was not used before. It is used from now on. */
  useStep(tx: Tx, userId: string, record: string, step: number): Promise<boolean>;
  /** Uses a recovery code, and returns how many are left. Null if it is none, or was used. */
  useRecoveryCode(tx: Tx, userId: string, hash: Buffer): Promise<number | null>;
  replaceRecoveryCodes(tx: Tx, userId: string, hashes: readonly Buffer[]): Promise<void>;
  /** Returns whether there was a second factor. A secret that was not confirmed is deleted as well. */
  remove(tx: Tx, userId: string): Promise<boolean>;
}

export function createSecondFactorRepository(db: Database): SecondFactorRepository {
  return {
    transaction: (work, options) => db.transaction(work, options),
    record: (tx, actor, did, id) =>
      recordAudit(tx, actor, {
        action: `second_factor.${did}`,
        organization: '',
        target: { type: 'user', id },
      }),
    async enroll(tx, userId, record) {
      const { count } = await tx.query(
        (sql) => sql`
          UPDATE users SET totp_secret = ${record}, totp_step = 0, updated_at = now()
          WHERE id = ${userId} AND totp_confirmed_at IS NULL`,
      );
      return count === 1;
    },
    async find(tx, userId) {
      const [factor] = await tx.query(
        (sql) => sql<StoredFactor[]>`
          SELECT totp_secret AS record, totp_confirmed_at IS NOT NULL AS is_confirmed
          FROM users WHERE id = ${userId} AND totp_secret IS NOT NULL`,
      );
      return factor ?? null;
    },
    async confirm(tx, userId, record, step) {
      const { count } = await tx.query(
        (sql) => sql`
          UPDATE users SET totp_confirmed_at = now(), totp_step = ${step}, updated_at = now()
          WHERE id = ${userId} AND totp_secret = ${record} AND totp_confirmed_at IS NULL`,
      );
      return count === 1;
    },
    async useStep(tx, userId, record, step) {
      const { count } = await tx.query(
        (sql) => sql`
          UPDATE users SET totp_step = ${step}
          WHERE id = ${userId} AND totp_secret = ${record} AND totp_confirmed_at IS NOT NULL
            AND totp_step < ${step}`,
      );
      return count === 1;
    },
    async useRecoveryCode(tx, userId, hash) {
      const { count } = await tx.query(
        (sql) => sql`
          UPDATE recovery_codes SET used_at = now()
          WHERE user_id = ${userId} AND hash = ${hash} AND used_at IS NULL`,
      );
      if (count === 0) return null;
      const [{ left }] = await tx.query(
        (sql) => sql<[{ left: number }]>`
          SELECT count(*)::int AS left FROM recovery_codes WHERE user_id = ${userId} AND used_at IS NULL`,
      );
      return left;
    },
    async replaceRecoveryCodes(tx, userId, hashes) {
      await tx.query((sql) => sql`DELETE FROM recovery_codes WHERE user_id = ${userId}`);
      await tx.query(
        (sql) => sql`
          INSERT INTO recovery_codes (user_id, hash)
          SELECT ${userId}, unnest(${hashes.map((hash) => `\\x${hash.toString('hex')}`)}::text[]::bytea[])`,
      );
    },
    async remove(tx, userId) {
      const [removed] = await tx.query(
        (sql) => sql<{ wasConfirmed: boolean }[]>`
          UPDATE users u SET totp_secret = NULL, totp_confirmed_at = NULL, totp_step = 0, updated_at = now()
          FROM (SELECT id, totp_confirmed_at IS NOT NULL AS was_confirmed FROM users
                WHERE id = ${userId} FOR NO KEY UPDATE) before
          WHERE u.id = before.id AND u.totp_secret IS NOT NULL RETURNING before.was_confirmed`,
      );
      await tx.query((sql) => sql`DELETE FROM recovery_codes WHERE user_id = ${userId}`);
      return removed?.wasConfirmed ?? false;
    },
  };
}
