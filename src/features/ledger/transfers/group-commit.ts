import { AtlasError } from '../../../errors.ts';
import type { Abortable } from '../../../utils/abortable.ts';
import { setLateTimer } from '../../../utils/late-timers.ts';
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
// A batch that takes longer is no longer waited for: its reply is probably in a socket, behind thousands of requests.
const STUCK_MS = 25;
const LANES_MAX = 4;
// The fastest of the batches of this time and the time before stands for what even a small one takes.
const LEAST_WINDOW_MS = 500;
const LEAST_VALID_MS = 2000;
// Smaller batches are not worth another lane.
const LANE_ITEMS_MIN = 8;
// Microtasks until a query is on its way to PostgreSQL. With fewer, it would wait for responses to be built.
const SEND_HOPS = 32;

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
  /** Sequences of batches, each sent after the one before. Usually one. */
  #lanes = 0;
  #sentMs = 0;
  #least = { sinceMs: 0, ms: Number.POSITIVE_INFINITY, beforeMs: Number.POSITIVE_INFINITY };
  #isGathering = false;
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

  /** Milliseconds that the fastest of the latest batches took; 0 if there was none lately. */
  get leastMs(): number {
    // Another worker may post what arrives here now.
    if (this.#lanes === 0 && performance.now() - this.#lastEndMs > LEAST_VALID_MS) return 0;
    const { ms, beforeMs } = this.#least;
    const leastMs = Math.min(ms, beforeMs);
    return leastMs === Number.POSITIVE_INFINITY ? 0 : leastMs;
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
      this.#advance();
    });
  }

  #leave(entry: Waiting): void {
    const at = this.#waiting.indexOf(entry);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    this.#waitingItems -= entry.request.orders.length;
    entry.reject(abortError(entry.caller!));
  }

  /** Starts a lane if none will soon take what is waiting. */
  #advance(): void {
    if (this.#isGathering || this.#waiting.length === 0) return;
    if (this.#lanes === 0 || (this.#lanes < LANES_MAX && this.#needsLane)) void this.#runLane();
  }

  get #needsLane(): boolean {
    return this.#waitingItems >= LANE_ITEMS_MIN && performance.now() - this.#sentMs > STUCK_MS;
  }

  /**
   * Posts one batch after the other. The next one is sent before the results of the last are handed out: building a
   * hundred responses takes longer than sending a batch, and PostgreSQL would be idle meanwhile.
   */
  async #runLane(): Promise<void> {
    this.#lanes++;
    let handOut = NOTHING;
    // Everything that arrives in this turn of the loop is in the batch.
    await this.#gather(0);
    do {
      const openMs = this.#openMs();
      if (openMs > 0) {
        // What was posted does not wait for requests that have not arrived.
        handOut();
        handOut = NOTHING;
        await this.#gather(openMs);
      }
      this.#removeAborted();
      if (this.#waiting.length === 0) break;
      const sentMs = performance.now();
      this.#sentMs = sentMs;
      const running = this.#run(this.#seal());
      const cancelCheck = setLateTimer(STUCK_MS, () => this.#advance());
      if (handOut !== NOTHING) for (let hop = 0; hop < SEND_HOPS; hop++) await null;
      handOut();
      handOut = await running;
      cancelCheck();
      this.#lastEndMs = performance.now();
      this.#recordLeast(this.#lastEndMs - sentMs);
    } while (this.#waiting.length > 0 && (this.#lanes === 1 || this.#needsLane));
    this.#lanes--;
    handOut();
  }

  #recordLeast(tookMs: number): void {
    const nowMs = performance.now();
    const { sinceMs, ms } = this.#least;
    if (nowMs - sinceMs > LEAST_WINDOW_MS) this.#least = { sinceMs: nowMs, ms: tookMs, beforeMs: ms };
    else this.#least.ms = Math.min(ms, tookMs);
  }

  /** Waits for more requests: until the end of this turn of the loop (0), or for some milliseconds. */
  async #gather(ms: number): Promise<void> {
    this.#isGathering = true;
    await new Promise<void>((resolve) => setLateTimer(ms, resolve));
    this.#isGathering = false;
  }

  /**
   * Returns for how many milliseconds a batch stays open. Batches of several workers run one after another in the
   * database. While others are ahead, sealing early only makes the batch smaller, so it accepts requests until its turn
   * is near.
   */
  #openMs(): number {
    // With several lanes, the batches ahead are those of this worker.
    if (this.#lanes > 1) return 0;
    // The wait of an earlier batch means nothing once the ledger has been quiet.
    if (performance.now() - this.#lastEndMs > QUIET_MS) this.#queueMs = 0;
    else this.#queueMs = smooth(this.#queueMs, this.#options.waitedMs(), SMOOTHING);
    if (this.#queueMs < WAIT_MS_MIN || this.#waitingItems >= this.#options.batchItemsMax) return 0;
    return Math.min(OPEN_MS_MAX, this.#queueMs * OPEN_PER_WAIT);
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

  /**
   * Retries after a transient failure, which the keys make safe. What a failed attempt committed is replayed, as it may
   * have been another request with the same key: one key never has two fresh results.
   */
  async #postWithRetry(requests: PostRequest[]): Promise<PostResult[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#options.post(requests);
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

/** Returns the error of a request whose caller was aborted before its batch was sealed. */
export function abortError(caller: Abortable): AtlasError {
  return caller.abortReason?.kind === 'disconnect'
    ? new AtlasError('request_aborted', 'The client closed the connection before the transfer was posted.')
    : new AtlasError(
        'deadline_exceeded',
        'The deadline passed before the transfer was posted. Nothing was done.',
      );
}
