import { AtlasError } from '../../../errors.ts';
import type { Abortable } from '../../../utils/abortable.ts';
import { setLateTimer } from '../../../utils/late-timers.ts';
import { smooth } from '../../../utils/smooth.ts';
import type { PostRequest, PostResult } from '../movement.ts';
import { FastestBatch } from './fastest-batch.ts';
import { PostingQueue, type PostingQueueOptions, type Waiting } from './posting-queue.ts';

/** Dependencies and bounds of a group commit. */
export interface GroupCommitOptions extends PostingQueueOptions {
  /**
   * Posts requests in one transaction and returns results in the same order. Throws an `AtlasError` if no request is at
   * fault, and any other error if one may be.
   */
  readonly post: (requests: readonly PostRequest[]) => Promise<PostResult[]>;
  /** Returns how many milliseconds the last batch waited for batches of other processes. */
  readonly waitedMs: () => number;
  /** Returns whether to retry the batch: it was a victim of another transaction, or may have committed. */
  readonly isTransient: (error: unknown) => boolean;
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
// Smaller batches are not worth another lane.
const LANE_ITEMS_MIN = 8;
// Microtasks until a query is on its way to PostgreSQL. With fewer, it would wait for responses to be built.
const SEND_HOPS = 32;
const FASTEST_VALID_MS = 2000;

/** Counts since the process started, for the metrics. */
export interface GroupCommitStats {
  readonly batches: number;
  readonly items: number;
  readonly waitingItems: number;
  readonly retries: number;
  /** Requests refused because the queue was full. */
  readonly refused: number;
  /** Requests removed from a full queue, because their owner had more in it than others who needed room. */
  readonly displaced: number;
}

/**
 * Group commit (Gawlick and Kinkade, IMS Fast Path): requests that arrive while a batch is in flight form the next one,
 * so under load a hundred transfers share one transaction and one flush. Owners take turns ({@link PostingQueue}). A
 * request can be aborted until its batch is sealed.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #running = new Set<string>();
  readonly #queue: PostingQueue;
  readonly #fastest = new FastestBatch();
  /** Sequences of batches, each sent after the one before. Usually one. */
  #lanes = 0;
  #sentMs = 0;
  #isGathering = false;
  #cancelResume = NOTHING;
  #queueMs = 0;
  #lastEndMs = Number.NEGATIVE_INFINITY;
  #batches = 0;
  #items = 0;
  #retries = 0;
  #refused = 0;
  #displaced = 0;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
    this.#queue = new PostingQueue(options);
  }

  stats(): GroupCommitStats {
    return {
      batches: this.#batches,
      items: this.#items,
      waitingItems: this.#queue.items,
      retries: this.#retries,
      refused: this.#refused,
      displaced: this.#displaced,
    };
  }

  /** Milliseconds that the fastest of the latest batches took; 0 if there was none lately. */
  get leastMs(): number {
    // Another worker may post what arrives here now.
    const isIdle = this.#lanes === 0 && performance.now() - this.#lastEndMs > FASTEST_VALID_MS;
    return isIdle ? 0 : this.#fastest.ms;
  }

  /**
   * Posts a request in a batch with others. Throws `idempotency_key_in_progress`, or `queue_full`, now or when others
   * need its room; also `deadline_exceeded` or `request_aborted` if the caller is aborted before the batch is sealed,
   * but not after.
   */
  submit(request: PostRequest, caller?: Abortable): Promise<PostResult> {
    const running = `${request.owner}\0${request.key}`;
    if (this.#running.has(running)) {
      const detail = 'The first request with this key is still in progress.';
      throw new AtlasError('idempotency_key_in_progress', detail, { retryAfterSeconds: RETRY_AFTER_SECONDS });
    }
    if (caller?.abortReason) throw abortError(caller);
    this.#makeRoom(request);
    this.#running.add(running);
    return new Promise((resolve, reject) => {
      const settled =
        <T>(settle: (value: T) => void) =>
        (value: T) => {
          this.#running.delete(running);
          settle(value);
        };
      const { owner, orders } = request;
      const settlers = { resolve: settled(resolve), reject: settled(reject) };
      const entry: Waiting = { request, owner, cost: orders.length, ...settlers, caller };
      if (caller) caller.onAbort = () => this.#leave(entry);
      this.#queue.push(entry);
      this.#advance();
    });
  }

  /** Throws `queue_full` if the request does not fit, even without what others have above their share. */
  #makeRoom({ owner, orders }: PostRequest): void {
    for (const { caller, reject } of this.#queue.makeRoom(owner, orders.length)) {
      if (caller) caller.onAbort = null;
      this.#displaced++;
      reject(queueFull('Others need the room that your transfers take in the queue. Nothing was posted.'));
    }
    if (this.#queue.hasRoom(orders.length)) return;
    this.#refused++;
    throw queueFull(`${this.#queue.items} transfers are already waiting to be posted.`);
  }

  #leave(entry: Waiting): void {
    if (this.#queue.remove(entry)) entry.reject(abortError(entry.caller!));
  }

  /** Starts a lane if none will soon take what is waiting. */
  #advance(): void {
    if (this.#isGathering || this.#queue.items === 0) return;
    if (this.#lanes === 0 || (this.#lanes < LANES_MAX && this.#needsLane)) void this.#runLane();
  }

  get #needsLane(): boolean {
    return this.#queue.sharedItems >= LANE_ITEMS_MIN && performance.now() - this.#sentMs > STUCK_MS;
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
      const sentMs = performance.now();
      const batch = this.#seal(sentMs);
      if (batch.length === 0) break;
      this.#sentMs = sentMs;
      const running = this.#run(batch);
      const cancelCheck = setLateTimer(STUCK_MS, () => this.#advance());
      if (handOut !== NOTHING) for (let hop = 0; hop < SEND_HOPS; hop++) await null;
      handOut();
      handOut = await running;
      cancelCheck();
      this.#lastEndMs = performance.now();
      this.#fastest.add(this.#lastEndMs - sentMs, this.#lastEndMs);
      this.#queue.ended(batch, this.#lastEndMs - sentMs, this.#lastEndMs);
    } while (this.#queue.items > 0 && (this.#lanes === 1 || this.#needsLane));
    this.#lanes--;
    handOut();
    const pauseMs = this.#queue.pauseMs(performance.now());
    if (pauseMs === 0) return;
    this.#cancelResume();
    this.#cancelResume = setLateTimer(pauseMs, () => this.#advance());
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
    if (this.#queueMs < WAIT_MS_MIN || this.#queue.items >= this.#options.batchItemsMax) return 0;
    return Math.min(OPEN_MS_MAX, this.#queueMs * OPEN_PER_WAIT);
  }

  /** Removes disconnected callers. Nothing reports a lost connection, so this checks before each batch. */
  #removeAborted(): void {
    // Iterates over a copy: reading the reason can remove an entry from the queue.
    for (const entry of this.#queue.entries()) if (entry.caller?.abortReason) this.#leave(entry);
  }

  /** Takes requests for one batch. */
  #seal(nowMs: number): Waiting[] {
    const batch = this.#queue.seal(nowMs);
    if (batch.length === 0) return batch;
    for (const { caller, cost } of batch) {
      if (caller) caller.onAbort = null;
      this.#items += cost;
    }
    this.#batches++;
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

function queueFull(detail: string): AtlasError {
  return new AtlasError('queue_full', detail, { retryAfterSeconds: RETRY_AFTER_SECONDS });
}

/** Returns the error of a request whose caller was aborted before its batch was sealed. */
export function abortError(caller: Abortable): AtlasError {
  return caller.abortReason?.kind === 'disconnect'
    ? new AtlasError('request_aborted', 'The client closed the connection before the transfer was posted.')
    : new AtlasError(
        'deadline_exceeded',
        'The deadline passed before the transfer was posted. Nothing was done.',
      );
}
