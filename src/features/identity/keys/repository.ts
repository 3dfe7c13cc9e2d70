import type { Database } from '../../../adapters/postgres/database.ts';
import { rowsWithin, type SizedRow, takePage } from '../../../adapters/postgres/page-of-bytes.ts';
import type { Fragment } from '../../../adapters/postgres/query.ts';
import type { QuotaOverrides, QuotaSubject } from '../quota.ts';
import type { ApiKey } from './domain.ts';

/** A stored key that may be used, whether its organization is suspended, and what operators allow both. */
export interface StoredKey extends ApiKey, QuotaOverrides {
  readonly secretHash: Uint8Array;
  readonly suspended: boolean;
}

/** API keys in PostgreSQL. */
export interface KeyRepository {
  insert(
    key: Pick<ApiKey, 'id' | 'owner' | 'kind' | 'name' | 'scopes' | 'expiresAt'> & { secretHash: Uint8Array },
  ): Promise<void>;
  /** Returns the key with the hash of its secret, unless it is revoked, or expired by the clock of the database. */
  findUsable(id: string, signal?: AbortSignal): Promise<StoredKey | null>;
  /** Returns any key with the hash of its secret, or null if there is none. */
  findAny(signal: AbortSignal): Promise<(ApiKey & { secretHash: Uint8Array }) | null>;
  /** Lists the keys that were created after the one with this id, oldest first. A page also ends at `PAGE_BYTES_MAX`. */
  list(afterId: string | null, limit: number): Promise<{ keys: ApiKey[]; hasMore: boolean }>;
  /** Returns whether there was such a key, not yet revoked. */
  revoke(id: string): Promise<boolean>;
  /** Returns whether there is no key but those of operators. */
  isEmpty(): Promise<boolean>;
  touch(ids: readonly string[]): Promise<void>;
}

// About what a key has besides its texts.
const KEY_BYTES = 500;

export function createKeyRepository(db: Database): KeyRepository {
  const columns = db.fragment`id, owner, kind, name, scopes, created_at, expires_at, revoked_at, last_used_at`;
  const quotaOf = (kind: QuotaSubject['kind'], id: Fragment) => db.fragment`(
    SELECT jsonb_build_object('requestsPerSecond', requests_per_second, 'burst', burst,
                              'concurrentRequests', concurrent_requests)
    FROM quotas WHERE subject_kind = ${kind} AND subject_id = ${id})`;
  const quotas = db.fragment`${quotaOf('key', db.fragment`api_keys.id`)} AS key_quota,
    ${quotaOf('organization', db.fragment`api_keys.owner`)} AS organization_quota`;
  return {
    async insert({ id, owner, kind, name, secretHash, scopes, expiresAt }) {
      await db.query(
        (sql) => sql`
        INSERT INTO api_keys (id, owner, kind, name, secret_hash, scopes, expires_at)
        VALUES (${id}, ${owner}, ${kind}, ${name}, ${secretHash as Buffer}, ${scopes as string[]}, ${expiresAt})`,
      );
    },
    async findUsable(id, signal) {
      const [key] = await db.query(
        (sql) => sql<StoredKey[]>`
          SELECT ${columns}, secret_hash,
                 EXISTS (SELECT FROM organizations o WHERE o.id = owner AND o.suspended_at IS NOT NULL) AS suspended,
                 ${quotas}
          FROM api_keys WHERE id = ${id} AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())`,
        { signal },
      );
      return key ?? null;
    },
    async findAny(signal) {
      const [key] = await db.query(
        (sql) =>
          sql<(ApiKey & { secretHash: Uint8Array })[]>`SELECT ${columns}, secret_hash FROM api_keys LIMIT 1`,
        { signal },
      );
      return key ?? null;
    },
    async list(afterId, limit) {
      // A key is never deleted.
      const younger = db.fragment`WHERE (created_at, id) > (SELECT created_at, id FROM api_keys WHERE id = ${afterId})`;
      const rows = await db.query(
        (sql) => sql<(ApiKey & SizedRow)[]>`
          SELECT ${columns}, bytes_so_far FROM (${rowsWithin(sql, {
            source: sql`
              SELECT * FROM api_keys ${afterId === null ? sql`` : younger} ORDER BY created_at, id LIMIT ${limit + 1}`,
            order: sql`created_at, id`,
            document: sql`owner || name`,
            otherBytes: KEY_BYTES,
          })}) page ORDER BY nth`,
      );
      const { page, hasMore } = takePage(rows, limit);
      return { keys: page.map(({ bytesSoFar: _, ...key }) => key), hasMore };
    },
    async revoke(id) {
      const revoked = await db.query(
        (sql) => sql`UPDATE api_keys SET revoked_at = now() WHERE id = ${id} AND revoked_at IS NULL`,
      );
      return revoked.count === 1;
    },
    async isEmpty() {
      const [row] = await db.query(
        (sql) =>
          sql<
            [{ empty: boolean }]
          >`SELECT NOT EXISTS (SELECT FROM api_keys WHERE kind <> 'operator') AS empty`,
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
