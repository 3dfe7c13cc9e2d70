import { AtlasError } from '../../src/errors.ts';
import type { PostRequest, PostResult, TransferRequest } from '../../src/features/ledger/movement.ts';
import { GroupCommit } from '../../src/features/ledger/transfers/group-commit.ts';

/** A transaction that a test holds open. */
export interface OpenBatch {
  readonly keys: string[];
  /** Applies the batch and returns its results. */
  commit(): void;
  /** Fails the batch. With `applied` it takes effect first, as after a lost COMMIT. */
  fail(error: unknown, applied?: boolean): void;
}

/**
 * A ledger in memory: applies each key once, and replays it afterwards. Batches wait in `open` until the test ends them.
 * With `auto` they are committed immediately, after a call of `before`.
 */
export class LedgerInMemory {
  readonly batches: string[][] = [];
  /** The keys that took effect. */
  readonly applied = new Set<string>();
  readonly open: OpenBatch[] = [];
  auto = false;
  before: (keys: string[]) => void = () => {};
  #opened = Promise.withResolvers<OpenBatch>();

  readonly post = (requests: readonly PostRequest[]): Promise<PostResult[]> => {
    const keys = requests.map(({ key }) => key);
    this.batches.push(keys);
    const { promise, resolve, reject } = Promise.withResolvers<PostResult[]>();
    const batch: OpenBatch = {
      keys,
      commit: () => resolve(this.#apply(requests)),
      fail: (error, applied = false) => {
        if (applied) this.#apply(requests);
        reject(error);
      },
    };
    if (this.auto) {
      try {
        this.before(keys);
        batch.commit();
      } catch (error) {
        batch.fail(error);
      }
    } else {
      this.open.push(batch);
      this.#opened.resolve(batch);
    }
    return promise;
  };

  /** Returns the next open batch, once there is one. */
  async next(): Promise<OpenBatch> {
    while (this.open.length === 0) {
      await this.#opened.promise;
      this.#opened = Promise.withResolvers<OpenBatch>();
    }
    return this.open.shift()!;
  }

  #apply(requests: readonly PostRequest[]): PostResult[] {
    return requests.map(({ key, orders }) => {
      const state = this.applied.has(key) ? 'replayed' : 'fresh';
      this.applied.add(key);
      const items = orders.map(({ id }) => ({ outcome: 'posted' as const, id, transfer: null }));
      return { state, items };
    });
  }
}

/** Returns a request with this number of transfers, whose ids start with its key. */
export function requestOf(key: string, items = 1, owner = 'owner'): TransferRequest {
  const orders = Array.from({ length: items }, (_, i) => ({
    id: `${key}/${i}`,
    debitAccountId: 'a',
    creditAccountId: 'b',
    amount: 1,
    reference: null,
    metadata: {},
  }));
  return { owner, key, fingerprint: key, atomic: false, orders };
}

/** A connection was lost during a transaction. */
export class ConnectionLoss extends AtlasError {
  constructor() {
    super('dependency_unavailable', 'unavailable');
  }
}

/** Returns a group commit over a ledger in memory, with bounds that a test can reach. */
export function groupCommitOver(
  ledger: LedgerInMemory,
  bounds: { readonly batch?: number; readonly waiting?: number; readonly waitedMs?: number } = {},
): GroupCommit {
  return new GroupCommit({
    post: ledger.post,
    waitedMs: () => bounds.waitedMs ?? 0,
    isTransient: (error) => error instanceof ConnectionLoss,
    batchItemsMax: bounds.batch ?? 10,
    waitingItemsMax: bounds.waiting ?? 20,
  });
}

/** Returns `posted` or the message of the error. Never rejects. */
export const outcomeOf = (submitted: Promise<unknown>): Promise<string> =>
  submitted.then(
    () => 'posted',
    (error: Error) => error.message,
  );
