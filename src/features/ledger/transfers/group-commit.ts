import { AtlasError } from '../../../errors.ts';
import type { Abortable } from '../../../utils/abortable.ts';
import { smooth } from '../../../utils/smooth.ts';
import type { PostRequest, PostResult } from './domain.ts';

/** Dependencies and bounds of a group commit. */
export interface GroupCommitOptions {
  /**
   * Posts requests in one transaction and returns results in the same order. Throws an `AtlasError` if no request is at
   * fault, and any other error if one may be.
   */
  readonly post: (requests: readonly PostRequest[]) => Promise<PostResult[]>;
  /** Returns how many milliseconds the last batch waited for batches of other processes. */
  readonly waitedMs: () => number;
  /** Returns whether to retry the batch: it was a victim of another transaction, or may have committed. */
  readonly isTransient: (error: unknown) => boolean;
  /** Maximum items per batch. A request with more forms a batch alone. */
  readonly batchItemsMax: number;
  readonly waitingItemsMax: number;
}

interface Waiting {
  readonly request: PostRequest;
  readonly resolve: (result: PostResult) => void;
  readonly reject: (error: unknown) => void;
  readonly caller: Abortable | undefined;
}

const ATTEMPTS_MAX = 3;
const FIRST_WAIT_MS = 100;
const RETRY_AFTER_SECONDS = 1;
// A batch stays open for three quarters of the time until its turn, and waits in the queue for the last quarter.
const OPEN_PER_WAIT = 3;
const OPEN_MS_MAX = 25;
const WAIT_MS_MIN = 0.5;
const QUIET_MS = 100;
const SMOOTHING = 0.3;

/** Counts since the process started, for the metrics. */
export interface GroupCommitStats {
  readonly batches: number;
  readonly items: number;
  readonly waitingItems: number;
  readonly retries: number;
  readonly refused: number;
}

/**
 * Group commit (Gawlick and Kinkade, IMS Fast Path): requests that arrive while a batch is in flight form the next one,
 * so under load a hundred transfers share one transaction and one flush. A request can be aborted until its batch is
 * sealed.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #running = new Set<string>();
  #waiting: Waiting[] = [];
  #waitingItems = 0;
  #busy = false;
  #queueMs = 0;
  #lastEndMs = Number.NEGATIVE_INFINITY;
  #batches = 0;
  #items = 0;
  #retries = 0;
  #refused = 0;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  stats(): GroupCommitStats {
    return {
      batches: this.#batches,
      items: this.#items,
      waitingItems: this.#waitingItems,
      retries: this.#retries,
      refused: this.#refused,
    };
  }

  /**
   * Posts a request in a batch with others. Throws `queue_full` or `idempotency_key_in_progress`; also
   * `deadline_exceeded` or `request_aborted` if the caller is aborted before the batch is sealed, but not after.
   */
  submit(request: PostRequest, caller?: Abortable): Promise<PostResult> {
    const running = `${request.owner}\0${request.key}`;
    if (this.#running.has(running)) {
      const detail = 'The first request with this key is still in progress.';
      throw new AtlasError('idempotency_key_in_progress', detail, { retryAfterSeconds: RETRY_AFTER_SECONDS });
    }
    if (this.#waitingItems + request.orders.length > this.#options.waitingItemsMax) {
      this.#refused++;
      const detail = `${this.#waitingItems} transfers are already waiting to be posted.`;
      throw new AtlasError('queue_full', detail, { retryAfterSeconds: RETRY_AFTER_SECONDS });
    }
    if (caller?.abortReason) throw abortError(caller);
    this.#running.add(running);
    return new Promise((resolve, reject) => {
      const settled =
        <T>(settle: (value: T) => void) =>
        (value: T) => {
          this.#running.delete(running);
          settle(value);
        };
      const entry: Waiting = { request, resolve: settled(resolve), reject: settled(reject), caller };
      if (caller) caller.onAbort = () => this.#leave(entry);
      this.#waiting.push(entry);
      this.#waitingItems += request.orders.length;
      if (!this.#busy) this.#start();
    });
  }

  #leave(entry: Waiting): void {
    const at = this.#waiting.indexOf(entry);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    this.#waitingItems -= entry.request.orders.length;
    entry.reject(abortError(entry.caller!));
  }

  #start(): void {
    this.#busy = true;
    // Waits one turn of the loop, so that everything that arrived in this turn is in the batch.
    setImmediate(() => void this.#drain());
  }

  /**
   * Posts one batch after the other. The next one is sent before the results of the last are handed out: building a
   * hundred responses takes longer than sending a batch, and PostgreSQL would be idle meanwhile.
   */
  async #drain(): Promise<void> {
    let handOut = NOTHING;
    while (this.#waiting.length > 0) {
      await this.#holdOpen();
      this.#removeAborted();
      if (this.#waiting.length > 0) {
        const running = this.#run(this.#seal());
        // One turn of the loop later, the batch is on its way.
        if (handOut !== NOTHING) await nextTurn();
        handOut();
        handOut = await running;
      } else {
        handOut();
        handOut = NOTHING;
      }
      this.#lastEndMs = performance.now();
      if (this.#waiting.length > 0) continue;
      handOut();
      handOut = NOTHING;
    }
    this.#busy = false;
  }

  /**
   * Batches of several workers run one after another in the database. While others are ahead, sealing early only makes
   * the batch smaller, so it accepts requests until its turn is near.
   */
  async #holdOpen(): Promise<void> {
    // The wait of an earlier batch means nothing once the ledger has been quiet.
    if (performance.now() - this.#lastEndMs > QUIET_MS) this.#queueMs = 0;
    else this.#queueMs = smooth(this.#queueMs, this.#options.waitedMs(), SMOOTHING);
    if (this.#queueMs < WAIT_MS_MIN || this.#waitingItems >= this.#options.batchItemsMax) return;
    await Bun.sleep(Math.min(OPEN_MS_MAX, this.#queueMs * OPEN_PER_WAIT));
  }

  /** Removes disconnected callers. Nothing reports a lost connection, so this checks before each batch. */
  #removeAborted(): void {
    // Iterates over a copy: reading the reason can remove an entry from the queue.
    for (const entry of [...this.#waiting]) if (entry.caller?.abortReason) this.#leave(entry);
  }

  /** Takes requests for one batch in order of arrival, at least one. */
  #seal(): Waiting[] {
    let items = 0;
    let taken = 0;
    for (const { request } of this.#waiting) {
      if (taken > 0 && items + request.orders.length > this.#options.batchItemsMax) break;
      items += request.orders.length;
      taken++;
    }
    const batch = this.#waiting.slice(0, taken);
    this.#waiting = this.#waiting.slice(taken);
    this.#waitingItems -= items;
    for (const { caller } of batch) if (caller) caller.onAbort = null;
    this.#batches++;
    this.#items += items;
    return batch;
  }

  /** Posts a batch. Returns a function that hands out the results. */
  async #run(batch: Waiting[]): Promise<() => void> {
    try {
      const results = await this.#postWithRetry(batch.map((entry) => entry.request));
      return () => {
        for (const [i, entry] of batch.entries()) entry.resolve(results[i]!);
      };
    } catch (error) {
      return this.#failOrBisect(batch, error);
    }
  }

  /** Retries after a transient failure, which the keys make safe. What a failed attempt committed counts as fresh. */
  async #postWithRetry(requests: PostRequest[]): Promise<PostResult[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        const results = await this.#options.post(requests);
        if (attempt === 1) return results;
        return results.map((result) =>
          result.state === 'replayed' ? { ...result, state: 'fresh' } : result,
        );
      } catch (error) {
        if (attempt === ATTEMPTS_MAX || !this.#options.isTransient(error)) throw error;
        this.#retries++;
        await Bun.sleep(Math.random() * FIRST_WAIT_MS * 2 ** (attempt - 1));
      }
    }
  }

  /** Bisects the batch, so that one request that the database cannot process does not fail the others. */
  async #failOrBisect(batch: Waiting[], error: unknown): Promise<() => void> {
    if (batch.length === 1 || error instanceof AtlasError) {
      return () => {
        for (const entry of batch) entry.reject(error);
      };
    }
    const middle = batch.length >> 1;
    const first = await this.#run(batch.slice(0, middle));
    first();
    return this.#run(batch.slice(middle));
  }
}

const NOTHING = () => {};

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Returns the error of a request whose caller was aborted before its batch was sealed. */
export function abortError(caller: Abortable): AtlasError {
  return caller.abortReason?.kind === 'disconnect'
    ? new AtlasError('request_aborted', 'The client closed the connection before the transfer was posted.')
    : new AtlasError(
        'deadline_exceeded',
        'The deadline passed before the transfer was posted. Nothing was done.',
      );
}
