import type { Database } from '../../../adapters/postgres/database.ts';
import type { ApiKey } from './domain.ts';

/** API keys in PostgreSQL. */
export interface KeyRepository {
  insert(
    key: Pick<ApiKey, 'id' | 'owner' | 'name' | 'scopes' | 'expiresAt'> & { secretHash: Uint8Array },
  ): Promise<void>;
  /** Returns the key with the hash of its secret, unless it is revoked, or expired by the clock of the database. */
  findUsable(id: string, signal?: AbortSignal): Promise<(ApiKey & { secretHash: Uint8Array }) | null>;
  list(limit: number): Promise<ApiKey[]>;
  /** Returns whether there was such a key, not yet revoked. */
  revoke(id: string): Promise<boolean>;
  isEmpty(): Promise<boolean>;
  touch(ids: readonly string[]): Promise<void>;
}

export function createKeyRepository(db: Database): KeyRepository {
  const columns = db.fragment`id, owner, name, scopes, created_at, expires_at, revoked_at, last_used_at`;
  return {
    async insert({ id, owner, name, secretHash, scopes, expiresAt }) {
      await db.query(
        (sql) => sql`
        INSERT INTO api_keys (id, owner, name, secret_hash, scopes, expires_at)
        VALUES (${id}, ${owner}, ${name}, ${secretHash as Buffer}, ${scopes as string[]}, ${expiresAt})`,
      );
    },
    async findUsable(id, signal) {
      const [key] = await db.query(
        (sql) => sql<(ApiKey & { secretHash: Uint8Array })[]>`
          SELECT ${columns}, secret_hash FROM api_keys
          WHERE id = ${id} AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())`,
        { signal },
      );
      return key ?? null;
    },
    async list(limit) {
      return [
        ...(await db.query(
          (sql) => sql<ApiKey[]>`SELECT ${columns} FROM api_keys ORDER BY created_at, id LIMIT ${limit}`,
        )),
      ];
    },
    async revoke(id) {
      const revoked = await db.query(
        (sql) => sql`UPDATE api_keys SET revoked_at = now() WHERE id = ${id} AND revoked_at IS NULL`,
      );
      return revoked.count === 1;
    },
    async isEmpty() {
      const [row] = await db.query(
        (sql) => sql<[{ empty: boolean }]>`SELECT NOT EXISTS (SELECT FROM api_keys) AS empty`,
      );
      return row.empty;
    },
    async touch(ids) {
      await db.query(
        (sql) => sql`UPDATE api_keys SET last_used_at = now() WHERE id = ANY (${ids as string[]})`,
      );
    },
  };
}
