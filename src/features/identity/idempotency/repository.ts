import type { Database, QueryOptions } from '../../../adapters/postgres/database.ts';
import { lockName } from '../../../adapters/postgres/name-lock.ts';
import type { Queryable } from '../../../adapters/postgres/query.ts';

const RETENTION_SECONDS = 24 * 3600;

const FORGET_ROWS_MAX = 1000;

/** A stored response. */
export interface StoredResponse {
  readonly id: string;
  readonly fingerprint: Uint8Array;
  /** As JSON, sealed if it contains a secret. */
  readonly response: string;
}

/** A response to store, for as long as usual unless it says how many seconds. */
export interface ResponseToStore extends StoredResponse {
  readonly seconds?: number | undefined;
}

/** Responses by owner and Idempotency-Key, in PostgreSQL. */
export interface IdempotencyRepository {
  transaction: Database['transaction'];
  /** Returns the response of a key without locking it. */
  find(owner: string, key: string, signal?: AbortSignal): Promise<StoredResponse | null>;
  /** Locks the key until the transaction ends, and returns its response if there is one. */
  claim(tx: Queryable, owner: string, key: string): Promise<StoredResponse | null>;
  store(tx: Queryable, owner: string, key: string, response: ResponseToStore): Promise<void>;
  /** Deletes responses past their retention, in steps. */
  forget(): Promise<void>;
}

export function createIdempotencyRepository(db: Database): IdempotencyRepository {
  async function find(owner: string, key: string, options: QueryOptions): Promise<StoredResponse | null> {
    const [row] = await db.query(
      (sql) => sql<StoredResponse[]>`
        SELECT id, fingerprint, response FROM idempotent_responses
        WHERE owner = ${owner} AND key = ${key} AND created_at > now() - make_interval(secs => ${RETENTION_SECONDS})`,
      options,
    );
    return row ?? null;
  }

  return {
    transaction: (work, options) => db.transaction(work, options),
    find: (owner, key, signal) => find(owner, key, { signal }),
    async claim(tx, owner, key) {
      await lockName(tx, 'idempotency key', owner, key);
      // A statement of its own, so that it sees what was stored while this one waited.
      return find(owner, key, { tx });
    },
    async store(tx, owner, key, { id, fingerprint, response, seconds = RETENTION_SECONDS }) {
      // What is stored for less time than usual counts as older. A response past its retention may not be deleted yet.
      await tx.query(
        (sql) => sql`
          INSERT INTO idempotent_responses (id, owner, key, fingerprint, response, created_at)
          VALUES (${id}, ${owner}, ${key}, ${fingerprint as Buffer}, ${response},
                  now() - make_interval(secs => ${RETENTION_SECONDS - seconds}))
          ON CONFLICT (owner, key) DO UPDATE SET id = excluded.id, fingerprint = excluded.fingerprint,
            response = excluded.response, created_at = excluded.created_at`,
      );
    },
    async forget() {
      for (let count = FORGET_ROWS_MAX; count === FORGET_ROWS_MAX; ) {
        ({ count } = await db.query(
          (sql) => sql`
          DELETE FROM idempotent_responses WHERE (owner, key) IN (
            SELECT owner, key FROM idempotent_responses
            WHERE created_at < now() - make_interval(secs => ${RETENTION_SECONDS})
            ORDER BY created_at LIMIT ${FORGET_ROWS_MAX})`,
        ));
      }
    },
  };
}
