import type { Database } from '../adapters/postgres/database.ts';
import type { Queryable } from '../adapters/postgres/query.ts';
import type { Actor } from '../utils/actor.ts';

/** A transaction, which only repositories know how to use. */
export type Tx = Queryable;

/** What a retry has in common with its first request. */
export interface RequestIdentity {
  /** Whose key it is. */
  readonly owner: string;
  /** The Idempotency-Key; undefined if the caller sent none. */
  readonly key: string | undefined;
  /** Everything that the request asks for: its operation, and its validated input. */
  readonly content: readonly [operation: string, ...input: unknown[]];
  /**
   * Who alone gets the response again, if it contains a secret: the caller, see `callerIdOf`. Such responses are stored
   * sealed.
   */
  readonly secretFor?: string;
  /** How long a retry gets the response, if that is less than usual: what it contains has expired then. */
  readonly seconds?: number;
}

/** What a request has done, or what an earlier one with its Idempotency-Key did. */
export interface Done<T> {
  readonly result: T;
  readonly replayed: boolean;
}

/**
 * Makes creates outside of the ledger safe to repeat. Throws `idempotency_key_reused` for another request with the key.
 */
export interface Idempotency {
  /**
   * Runs the work in a transaction and stores what it returns under the key of the request. A retry gets that instead,
   * and nothing is done again; one that arrives meanwhile waits. Nothing is stored if the work throws. What the work
   * returns must survive JSON, as an object. It must query nothing outside of the transaction: waiting retries may have
   * all connections.
   *
   * Without a key the work is only called, and has no transaction.
   *
   * Check before this whether the caller may do what it asks for: a replay contains the secrets of the first response.
   * Nobody else gets those, who would only have to guess the key and the request.
   */
  run<T extends object>(
    request: RequestIdentity,
    work: (tx?: Tx) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<Done<T>>;
  /** Returns what `run` would return for a retry, or null: for checks before it that a retry must not repeat. */
  find<T extends object>(request: RequestIdentity, signal?: AbortSignal): Promise<Done<T> | null>;
  readonly stats: { readonly replays: number };
}

/** Returns who a caller is in all of their requests: the API key, or the user of a session. */
export const callerIdOf = ({ id, userId }: Pick<Actor, 'id' | 'userId'>): string => userId ?? id;

/** Returns work for {@link Idempotency.run} that needs a transaction: that which it is handed, or one of its own. */
export function inTransaction<T>(
  transaction: Database['transaction'],
  signal: AbortSignal | undefined,
  work: (tx: Tx) => Promise<T>,
): (tx?: Tx) => Promise<T> {
  return (tx) => transaction(work, { signal, tx });
}
