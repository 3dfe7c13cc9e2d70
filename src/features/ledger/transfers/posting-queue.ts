import type { Abortable } from '../../../utils/abortable.ts';
import { FairQueue, type Queued } from '../../../utils/fair-queue.ts';
import type { PostRequest, PostResult } from '../movement.ts';

/** A request that waits for its batch. Its cost is its items. */
export interface Waiting extends Queued {
  readonly request: PostRequest;
  readonly resolve: (result: PostResult) => void;
  readonly reject: (error: unknown) => void;
  readonly caller: Abortable | undefined;
}

/** Bounds of a queue. */
export interface PostingQueueOptions {
  /** Maximum items per batch. A request with more forms a batch alone. */
  readonly batchItemsMax: number;
  readonly waitingItemsMax: number;
}

// Owners take turns in a batch, so that each batch has room for several.
const TURNS_PER_BATCH = 8;
// An owner whose last batch is this recent probably sends its next request soon.
const ACTIVE_MS = 100;
const PAUSE_MS_MAX = 250;

/**
 * The requests of all owners that wait for a batch. Owners take turns, and no owner has more than its share of a full
 * queue.
 *
 * A request with more items than a batch occupies the ledger for the time of several batches, during which all others
 * wait. So only one is in flight at a time, and while other owners are active, the next one is held for as long as the
 * last one took: the ledger is theirs for half of the time. Without the pause it would start while the others have
 * their responses, but have not sent their next requests (Iyer and Druschel, Anticipatory Scheduling, 2001).
 */
export class PostingQueue {
  readonly #options: PostingQueueOptions;
  readonly #queue: FairQueue<Waiting>;
  #largeItems = 0;
  #isLargeInFlight = false;
  #heldUntilMs = 0;
  /** The last two owners of requests that share a batch, the latest first. */
  #active: { owner: string; sealedMs: number }[] = [];

  constructor(options: PostingQueueOptions) {
    this.#options = options;
    this.#queue = new FairQueue(Math.ceil(options.batchItemsMax / TURNS_PER_BATCH));
  }

  get items(): number {
    return this.#queue.cost;
  }

  /** Items of requests that share a batch with others. */
  get sharedItems(): number {
    return this.items - this.#largeItems;
  }

  /**
   * Makes room for a request as far as owners have more in the queue than this one would: removes their newest
   * requests, and returns them.
   */
  makeRoom(owner: string, items: number): Waiting[] {
    const displaced: Waiting[] = [];
    while (!this.hasRoom(items)) {
      const entry = this.#queue.displace(owner, items);
      if (entry === undefined) break;
      this.#countLarge(entry, -1);
      displaced.push(entry);
    }
    return displaced;
  }

  hasRoom(items: number): boolean {
    return this.items + items <= this.#options.waitingItemsMax;
  }

  push(entry: Waiting): void {
    this.#queue.push(entry);
    this.#countLarge(entry, 1);
  }

  /** Returns false if the entry is not waiting. */
  remove(entry: Waiting): boolean {
    const isRemoved = this.#queue.remove(entry);
    if (isRemoved) this.#countLarge(entry, -1);
    return isRemoved;
  }

  entries(): Waiting[] {
    return this.#queue.entries();
  }

  /** Takes the requests of the next batch. Empty if none waits, or all that do are held. */
  seal(nowMs: number): Waiting[] {
    const batch = this.#queue.take(this.#options.batchItemsMax, (entry) => this.#isHeld(entry, nowMs));
    const [first] = batch;
    if (first !== undefined && this.#isLarge(first)) {
      this.#countLarge(first, -1);
      this.#isLargeInFlight = true;
    } else for (const { owner } of batch) this.#noteActive(owner, nowMs);
    return batch;
  }

  /** Notes that a batch has ended, and how long it took. */
  ended([first]: readonly Waiting[], tookMs: number, nowMs: number): void {
    if (first === undefined || !this.#isLarge(first)) return;
    this.#isLargeInFlight = false;
    this.#heldUntilMs = nowMs + Math.min(PAUSE_MS_MAX, tookMs);
  }

  /** Returns for how many milliseconds large requests are held; 0 if none waits. */
  pauseMs(nowMs: number): number {
    return this.#largeItems === 0 ? 0 : Math.max(0, this.#heldUntilMs - nowMs);
  }

  #isHeld(entry: Waiting, nowMs: number): boolean {
    if (!this.#isLarge(entry)) return false;
    if (this.#isLargeInFlight) return true;
    if (nowMs >= this.#heldUntilMs) return false;
    return this.#active.some(({ owner, sealedMs }) => owner !== entry.owner && nowMs - sealedMs < ACTIVE_MS);
  }

  #isLarge({ cost }: Waiting): boolean {
    return cost > this.#options.batchItemsMax;
  }

  #countLarge(entry: Waiting, sign: 1 | -1): void {
    if (this.#isLarge(entry)) this.#largeItems += sign * entry.cost;
  }

  #noteActive(owner: string, sealedMs: number): void {
    const [latest] = this.#active;
    if (latest?.owner === owner) latest.sealedMs = sealedMs;
    else this.#active = latest === undefined ? [{ owner, sealedMs }] : [{ owner, sealedMs }, latest];
  }
}
