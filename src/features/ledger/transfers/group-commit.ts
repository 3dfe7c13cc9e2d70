import { AtlasError } from '../../../errors.ts';
import type { Abortable } from '../../../utils/abortable.ts';
import type { PostRequest, PostResult } from './domain.ts';

/** What a group commit is made of. */
export interface GroupCommitOptions {
  /** Runs requests in one transaction and answers in their order. */
  readonly post: (requests: readonly PostRequest[]) => Promise<PostResult[]>;
  /** Milliseconds that the last batch stood in line behind those of other processes. */
  readonly waitedMs: () => number;
  /** Whether the same batch should be run again: it was the victim of another transaction, or may have committed. */
  readonly isTransient: (error: unknown) => boolean;
  /** What a caller is told of an error of the database. */
  readonly mapError: (error: unknown) => unknown;
  /** Items after which a batch takes no further request. One request with more is a batch of its own. */
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
// Of the time until its turn, a batch stays open for three quarters and stands in line for the last one.
const OPEN_PER_WAIT = 3;
const OPEN_MS_MAX = 25;
const WAIT_MS_MIN = 0.5;
const QUIET_MS = 100;
const SMOOTHING = 0.3;

/** Counts since the start, for the metrics. */
export interface GroupCommitStats {
  readonly batches: number;
  readonly items: number;
  readonly waitingItems: number;
  readonly retries: number;
  readonly refused: number;
}

/**
 * Group commit (Gawlick and Kinkade, IMS Fast Path): requests that arrive while a batch is in flight form the next one,
 * so under load a hundred transfers share one transaction and one flush. A request may leave until its batch is sealed.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #running = new Set<string>();
  #waiting: Waiting[] = [];
  #waitingItems = 0;
  #busy = false;
  #lineMs = 0;
  #endedMs = Number.NEGATIVE_INFINITY;
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
   * Posts a request with others. Throws `queue_full`, `idempotency_key_in_progress`, or `deadline_exceeded` if the
   * caller gave up before the batch was sealed; after that the result comes, whatever the caller does.
   */
  submit(request: PostRequest, caller?: Abortable): Promise<PostResult> {
    const running = `${request.owner}\0${request.key}`;
    if (this.#running.has(running)) {
      const detail = 'The first request with this key is still running.';
      throw new AtlasError('idempotency_key_in_progress', detail, { retryAfterSeconds: RETRY_AFTER_SECONDS });
    }
    if (this.#waitingItems + request.orders.length > this.#options.waitingItemsMax) {
      this.#refused++;
      const detail = `${this.#waitingItems} transfers wait to be posted already.`;
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
    // One turn later, everything that arrived in the same turn of the loop is in the batch.
    setImmediate(() => void this.#drain());
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#stayOpen();
      this.#dropGone();
      if (this.#waiting.length > 0) await this.#run(this.#seal());
      this.#endedMs = performance.now();
    }
    this.#busy = false;
  }

  /**
   * Batches of several workers run one after the other in the database. While others are first, sealing gains nothing
   * and makes the batch smaller, so it takes requests until its turn is near.
   */
  async #stayOpen(): Promise<void> {
    // What an earlier batch met says nothing any more when the ledger has been quiet since.
    if (performance.now() - this.#endedMs > QUIET_MS) this.#lineMs = 0;
    else this.#lineMs += (this.#options.waitedMs() - this.#lineMs) * SMOOTHING;
    if (this.#lineMs < WAIT_MS_MIN || this.#waitingItems >= this.#options.batchItemsMax) return;
    await Bun.sleep(Math.min(OPEN_MS_MAX, this.#lineMs * OPEN_PER_WAIT));
  }

  /** A lost connection tells nobody by itself, so those callers are looked for before each batch. */
  #dropGone(): void {
    // Over a copy: asking for the reason makes an entry leave the queue.
    for (const entry of [...this.#waiting]) if (entry.caller?.abortReason) this.#leave(entry);
  }

  /** Takes what fits into one batch, in order of arrival. At least one request, which is never larger than a batch. */
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

  async #run(batch: Waiting[]): Promise<void> {
    try {
      const results = await this.#postWithRetry(batch.map((entry) => entry.request));
      for (const [i, entry] of batch.entries()) entry.resolve(results[i]!);
    } catch (error) {
      await this.#failOrBisect(batch, error);
    }
  }

  /** Runs the batch again after a transient failure: its keys make that safe. What it had committed counts as fresh. */
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

  /** One request that the database chokes on must not fail the others of its batch. */
  async #failOrBisect(batch: Waiting[], error: unknown): Promise<void> {
    const mapped = this.#options.mapError(error);
    if (batch.length === 1 || mapped instanceof AtlasError) {
      for (const entry of batch) entry.reject(mapped);
      return;
    }
    const middle = batch.length >> 1;
    await this.#run(batch.slice(0, middle));
    await this.#run(batch.slice(middle));
  }
}

function abortError(caller: Abortable): AtlasError {
  return caller.abortReason?.kind === 'disconnect'
    ? new AtlasError('request_aborted', 'The caller closed the connection before the transfer was posted.')
    : new AtlasError(
        'deadline_exceeded',
        'The deadline passed before the transfer was posted; nothing happened.',
      );
}
