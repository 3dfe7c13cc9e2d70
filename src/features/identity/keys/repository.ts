import { recordAudit } from '../../../adapters/postgres/audit.ts';
import type { Database, QueryOptions } from '../../../adapters/postgres/database.ts';
import { isolates } from '../../../adapters/postgres/isolation.ts';
import { rowsWithin, type SizedRow, takePage } from '../../../adapters/postgres/page-of-bytes.ts';
import type { Fragment, Queryable } from '../../../adapters/postgres/query.ts';
import type { Actor } from '../../../utils/actor.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import { testSpaceOf } from '../organization-id.ts';
import type { QuotaOverrides, QuotaSubject } from '../quota.ts';
import { type ApiKey, ENDED_DAYS, ENDED_KEYS_MAX, type KeyKind, USABLE_KEYS_MAX } from './domain.ts';

/** A transaction, which only repositories know how to use. */
export type Tx = Queryable;

/** A stored key that may be used, whether its organization is suspended, and what operators allow both. */
export interface StoredKey extends ApiKey, QuotaOverrides {
  readonly secretHash: Uint8Array;
  readonly suspended: boolean;
}

/** A key to store, with the hash of its secret. */
export interface KeyToInsert
  extends Pick<ApiKey, 'id' | 'owner' | 'kind' | 'name' | 'scopes' | 'expiresAt' | 'createdBy'> {
  readonly secretHash: Uint8Array;
}

/** The keys that a caller may see and change: of these kinds, of one organization unless it is null. */
export interface KeysOf {
  readonly owner: string | null;
  readonly kinds: readonly KeyKind[];
}

/** What was done to a key, for the audit log. */
export interface KeyChange {
  readonly did: 'created' | 'rotated' | 'revoked';
  readonly key: ApiKey;
  readonly before?: object;
  readonly after?: object;
}

/** A position in a list: microseconds since 1970, and the ID of the last key before it. */
export interface KeyPosition {
  readonly createdUs: string;
  readonly id: string;
}

/** Why no key of a kind can be created in an organization. */
export type TestSpaceState = 'available' | 'not isolated' | 'taken';

/** API keys in PostgreSQL. Those that are handed a transaction run in it. */
export interface KeyRepository {
  transaction: Database['transaction'];
  insert(tx: Tx, key: KeyToInsert): Promise<ApiKey>;
  /** Writes what was done to a key into the audit log. */
  record(tx: Tx, actor: Actor, did: KeyChange): Promise<void>;
  /** Inserts a key of the demo data, unless it exists. */
  insertDemo(key: KeyToInsert): Promise<void>;
  /** Returns the owner of a key, if it is one of these; undefined if there is no such key. */
  ownerOf(tx: Queryable, of: KeysOf, id: string): Promise<string | undefined>;
  /** Returns whether the organization has as many keys of the kind as it may create over HTTP. */
  isFull(tx: Queryable, owner: string, kind: KeyKind): Promise<boolean>;
  testSpaceState(on: Queryable, organization: string): Promise<TestSpaceState>;
  doesOrganizationExist(on: Queryable, organization: string): Promise<boolean>;
  /** Returns the key with the hash of its secret, unless it is revoked, or expired by the clock of the database. */
  findUsable(id: string, options: QueryOptions): Promise<StoredKey | null>;
  /** Returns any key with the hash of its secret, or null if there is none. */
  findAny(signal: AbortSignal): Promise<(ApiKey & { secretHash: Uint8Array }) | null>;
  find(of: KeysOf, id: string, options?: QueryOptions): Promise<ApiKey | null>;
  /** Locks and returns the key, and whether it may be used, by the clock of the database. */
  lock(tx: Queryable, of: KeysOf, id: string): Promise<(ApiKey & { isUsable: boolean }) | null>;
  /** Lists the keys after a position, oldest first. A page also ends at `PAGE_BYTES_MAX`. */
  list(
    of: KeysOf,
    after: KeyPosition | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ keys: ApiKey[]; next: KeyPosition | null }>;
  /** Marks a key as replaced, and lets it end after the overlap, or earlier if it would have anyway. */
  replace(tx: Queryable, id: string, replacedBy: string, overlapSeconds: number): Promise<ApiKey>;
  /** Revokes a key that is not revoked yet, and returns it; null if there is no such key. */
  revoke(on: Queryable, of: KeysOf, id: string): Promise<ApiKey | null>;
  /** Returns whether there is no key but those of operators and of the demo data. */
  isEmpty(): Promise<boolean>;
  touch(ids: readonly string[]): Promise<void>;
  /** Deletes keys created over HTTP that ended long ago, in steps. */
  forgetEnded(): Promise<void>;
}

// Nobody has their secrets, so they are as good as none.
const DEMO_KEYS: string[] = [DEMO.key, DEMO.spareKey];
// About what a key has besides its texts.
const KEY_BYTES = 500;
const FORGET_ROWS_MAX = 1000;

export function createKeyRepository(db: Database): KeyRepository {
  return {
    transaction: (work, options) => db.transaction(work, options),
    ...keyReads(db),
    ...keyChanges(db),
    ...organizationChecks(db),
  };
}

function fragmentsOf(db: Database) {
  const columns = db.fragment`id, owner, kind, name, scopes, created_by, replaced_by, created_at, expires_at,
    revoked_at, last_used_at`;
  const usable = db.fragment`revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())`;
  const isolated = isolates(db.fragment);
  const visible = ({ owner, kinds }: KeysOf) =>
    db.fragment`kind = ANY (${[...kinds]}::text[]) ${owner === null ? db.fragment`` : db.fragment`AND owner = ${owner}`}`;
  const quotaOf = (kind: QuotaSubject['kind'], id: Fragment) => db.fragment`(
    SELECT jsonb_build_object('requestsPerSecond', requests_per_second, 'burst', burst,
                              'concurrentRequests', concurrent_requests)
    FROM quotas WHERE subject_kind = ${kind} AND subject_id = ${id})`;
  const quotas = db.fragment`${quotaOf('key', db.fragment`api_keys.id`)} AS key_quota,
    ${quotaOf('organization', db.fragment`api_keys.owner`)} AS organization_quota`;
  return { columns, usable, isolated, visible, quotas };
}

type Reads = 'findUsable' | 'findAny' | 'find' | 'list' | 'isEmpty';
type Checks = 'ownerOf' | 'isFull' | 'testSpaceState' | 'doesOrganizationExist';

function keyReads(db: Database): Pick<KeyRepository, Reads> {
  const { columns, usable, isolated, visible, quotas } = fragmentsOf(db);
  return {
    async findUsable(id, options) {
      const [key] = await db.query(
        (sql) => sql<StoredKey[]>`
          SELECT ${columns}, secret_hash,
                 EXISTS (SELECT FROM organizations o
                         WHERE o.id = api_keys.owner AND o.suspended_at IS NOT NULL) AS suspended,
                 ${quotas}
          FROM api_keys WHERE id = ${id} AND ${usable}
            AND (kind <> 'test' OR (${isolated}
              AND NOT EXISTS (SELECT FROM organizations o WHERE o.id = api_keys.owner || ${testSpaceOf('')})))`,
        options,
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
    async find(of, id, options) {
      const [key] = await db.query(
        (sql) => sql<ApiKey[]>`SELECT ${columns} FROM api_keys WHERE id = ${id} AND ${visible(of)}`,
        options,
      );
      return key ?? null;
    },
    async list(of, after, limit, signal) {
      const createdUs = db.fragment`(extract(epoch FROM created_at) * 1000000)::bigint`;
      const rows = await db.query(
        (sql) => sql<(ApiKey & SizedRow & { createdUs: string })[]>`
          SELECT ${columns}, ${createdUs}::text AS created_us, bytes_so_far FROM (${rowsWithin(sql, {
            source: sql`
              SELECT * FROM api_keys WHERE ${visible(of)} ${
                after === null
                  ? sql``
                  : sql`AND (created_at, id) >
                      (timestamptz 'epoch' + ${after.createdUs}::bigint * interval '1 microsecond', ${after.id})`
              } ORDER BY created_at, id LIMIT ${limit + 1}`,
            order: sql`created_at, id`,
            document: sql`owner || name`,
            otherBytes: KEY_BYTES,
          })}) page ORDER BY nth`,
        { signal },
      );
      const { page, hasMore } = takePage(rows, limit);
      const { createdUs: lastUs, id } = page.at(-1) ?? { createdUs: '0', id: '' };
      return {
        keys: page.map(({ bytesSoFar: _, createdUs: __, ...key }) => key),
        next: hasMore ? { createdUs: lastUs, id } : null,
      };
    },
    async isEmpty() {
      const [row] = await db.query(
        (sql) =>
          sql<
            [{ empty: boolean }]
          >`SELECT NOT EXISTS (SELECT FROM api_keys WHERE kind <> 'operator' AND id <> ALL (${DEMO_KEYS})) AS empty`,
      );
      return row.empty;
    },
  };
}

function keyChanges(db: Database): Omit<KeyRepository, 'transaction' | Reads | Checks> {
  const { columns, usable, visible } = fragmentsOf(db);
  return {
    async insert(on, { id, owner, kind, name, secretHash, scopes, expiresAt, createdBy }) {
      const [key] = await on.query(
        (sql) => sql<[ApiKey]>`
        INSERT INTO api_keys (id, owner, kind, name, secret_hash, scopes, expires_at, created_by)
        VALUES (${id}, ${owner}, ${kind}, ${name}, ${secretHash as Buffer}, ${scopes as string[]}, ${expiresAt},
          ${createdBy})
        RETURNING ${columns}`,
      );
      return key;
    },
    record: (tx, actor, { did, key: { id, owner }, before, after }) =>
      recordAudit(tx, actor, {
        action: `api_key.${did}`,
        organization: owner,
        target: { type: 'api_key', id },
        ...(before && { before }),
        ...(after && { after }),
      }),
    async insertDemo({ id, owner, kind, name, secretHash, scopes }) {
      await db.query(
        (sql) => sql`
        INSERT INTO api_keys (id, owner, kind, name, secret_hash, scopes)
        VALUES (${id}, ${owner}, ${kind}, ${name}, ${secretHash as Buffer}, ${scopes as string[]})
        ON CONFLICT (id) DO NOTHING`,
      );
    },
    async lock(tx, of, id) {
      const [key] = await tx.query(
        (sql) => sql<(ApiKey & { isUsable: boolean })[]>`
          SELECT ${columns}, ${usable} AS is_usable FROM api_keys WHERE id = ${id} AND ${visible(of)}
          FOR NO KEY UPDATE`,
      );
      return key ?? null;
    },
    async replace(tx, id, replacedBy, overlapSeconds) {
      const [key] = await tx.query(
        (sql) => sql<[ApiKey]>`
          UPDATE api_keys SET replaced_by = ${replacedBy},
            expires_at = least(expires_at, now() + make_interval(secs => ${overlapSeconds}))
          WHERE id = ${id} RETURNING ${columns}`,
      );
      return key;
    },
    async revoke(on, of, id) {
      const [key] = await on.query(
        (sql) => sql<ApiKey[]>`
          UPDATE api_keys SET revoked_at = now() WHERE id = ${id} AND revoked_at IS NULL AND ${visible(of)}
          RETURNING ${columns}`,
      );
      return key ?? null;
    },
    async touch(ids) {
      await db.query(
        (sql) => sql`UPDATE api_keys SET last_used_at = now() WHERE id = ANY (${ids as string[]})`,
      );
    },
    async forgetEnded() {
      for (let count = FORGET_ROWS_MAX; count === FORGET_ROWS_MAX; ) {
        ({ count } = await db.query(
          (sql) => sql`
          DELETE FROM api_keys WHERE id = ANY (ARRAY(
            SELECT id FROM api_keys WHERE created_by IS NOT NULL
              AND least(revoked_at, expires_at) < now() - make_interval(days => ${ENDED_DAYS})
            ORDER BY least(revoked_at, expires_at) LIMIT ${FORGET_ROWS_MAX}))`,
        ));
      }
    },
  };
}

function organizationChecks(db: Database): Pick<KeyRepository, Checks> {
  const { usable, isolated, visible } = fragmentsOf(db);
  return {
    async ownerOf(tx, of, id) {
      const [key] = await tx.query(
        (sql) => sql<{ owner: string }[]>`SELECT owner FROM api_keys WHERE id = ${id} AND ${visible(of)}`,
      );
      return key?.owner;
    },
    async isFull(tx, owner, kind) {
      const [row] = await tx.query(
        (sql) => sql<[{ full: boolean }]>`
          SELECT count(*) FILTER (WHERE ${usable}) >= ${USABLE_KEYS_MAX}
            OR count(*) FILTER (WHERE NOT (${usable}) AND created_by IS NOT NULL) >= ${ENDED_KEYS_MAX} AS full
          FROM api_keys WHERE owner = ${owner} AND kind = ${kind}`,
      );
      return row.full;
    },
    async testSpaceState(on, organization) {
      const [row] = await on.query(
        (sql) => sql<[{ state: TestSpaceState }]>`
          SELECT CASE WHEN NOT ${isolated} THEN 'not isolated'
            WHEN EXISTS (SELECT FROM organizations WHERE id = ${testSpaceOf(organization)}) THEN 'taken'
            ELSE 'available' END AS state`,
      );
      return row.state;
    },
    async doesOrganizationExist(on, organization) {
      const rows = await on.query((sql) => sql`SELECT FROM organizations WHERE id = ${organization}`);
      return rows.length > 0;
    },
  };
}
