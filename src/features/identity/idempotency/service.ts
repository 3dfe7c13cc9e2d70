import { createHash } from 'node:crypto';
import { AtlasError } from '../../../errors.ts';
import type { Sealing } from '../../../utils/sealing.ts';
import { openSecret, sealSecret } from '../../seal-secret.ts';
import { responseContext } from './domain.ts';
import type { IdempotencyRepository, Tx } from './repository.ts';

/** What a retry has in common with its first request. */
export interface RequestIdentity {
  /** Whose key it is. */
  readonly owner: string;
  /** The Idempotency-Key; undefined if the caller sent none. */
  readonly key: string | undefined;
  /** Everything that the request asks for: its operation, and its validated input. */
  readonly content: readonly [operation: string, ...input: unknown[]];
}

/** Makes creates outside of the ledger safe to repeat. */
export interface Idempotency {
  /**
   * Runs the work in a transaction and stores what it returns, sealed, under the key of the request. A retry gets that
   * instead, and nothing is done again. Nothing is stored if the work throws. What the work returns must survive JSON.
   *
   * Check before this whether the caller may do what it asks for: a replay contains the secrets of the first response.
   */
  run<T extends object>(
    identity: RequestIdentity,
    work: (tx: Tx) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<{ result: T; replayed: boolean }>;
  readonly stats: { readonly replays: number };
}

export function createIdempotency(repository: IdempotencyRepository, sealing: Sealing): Idempotency {
  const stats = { replays: 0 };

  function replay<T>(record: string, id: string): T {
    stats.replays++;
    return JSON.parse(openSecret(sealing, record, responseContext(id)).toString()) as T;
  }

  return {
    stats,
    async run<T extends object>(
      { owner, key, content }: RequestIdentity,
      work: (tx: Tx) => Promise<T>,
      signal?: AbortSignal,
    ) {
      if (key === undefined) {
        const result = await repository.transaction(work, { signal });
        return { result, replayed: false };
      }
      const fingerprint = createHash('sha256').update(JSON.stringify(content)).digest();
      return repository.transaction(
        async (tx) => {
          const found = await repository.claim(tx, owner, key);
          if (found !== null) {
            if (fingerprint.compare(found.fingerprint) !== 0) throw reused();
            return { result: replay<T>(found.response, found.id), replayed: true };
          }
          const id = crypto.randomUUID();
          const result = await work(tx);
          const response = sealSecret(sealing, Buffer.from(JSON.stringify(result)), responseContext(id));
          await repository.store(tx, owner, key, { id, fingerprint, response });
          return { result, replayed: false };
        },
        { signal },
      );
    },
  };
}

const reused = () =>
  new AtlasError(
    'idempotency_key_reused',
    'This Idempotency-Key was already used for a request with a different path or body.',
  );
