import { LoopUse } from './loop-use.ts';

// A longer turn of the event loop delays every request that arrives during it.
const TARGET_MS = 50;
const WATCH_MS = TARGET_MS / 2;
const GROWTH = 1.5;
const SHARE_OF_RANK = [0.6, 0.8, 1] as const;
const TURN_MAX = 1024;
// Per update, while a more important tier is refused and the loop is late: a few, so that a change is noticed.
const YIELDED_MIN = 2;
const YIELD = 0.5;
const YIELD_MAX = 10_000;

/** How late the event loop is. */
export interface LoopState {
  /** Whether a turn has outlasted the time between two updates, so that not even its delay was measured. */
  readonly isLate: boolean;
  readonly delayMs: number;
}

export const LOOP_ON_TIME: LoopState = { isLate: false, delayMs: 0 };

/**
 * A limit on the requests started in one turn of the event loop. CPU-bound work never shows up as concurrency: while
 * it runs, other requests queue in their sockets. So the signal is the delay of the loop (as in Node's under-pressure),
 * and the limit is on requests per turn. Owners that use little of the time may exceed it.
 */
export class LoopLimit {
  readonly #delayMs: () => number;
  readonly #isSameTurn: () => boolean;
  #use = new LoopUse();
  #state = LOOP_ON_TIME;
  #limit = Number.POSITIVE_INFINITY;
  #isWatching = false;
  /** By rank: requests that may start until the next update, those that did, and those that were refused. */
  readonly #mayStart = SHARE_OF_RANK.map(() => Number.POSITIVE_INFINITY);
  readonly #started = SHARE_OF_RANK.map(() => 0);
  readonly #refusedOfRank = SHARE_OF_RANK.map(() => 0);
  #inTurn = 0;
  #peakInTurn = 0;
  #refused = 0;

  /**
   * `delayMs` returns the event loop delay since the last call, in milliseconds. `isSameTurn` returns whether the loop
   * is still in the turn of the last call.
   */
  constructor(delayMs: () => number, isSameTurn: () => boolean = () => false) {
    this.#delayMs = delayMs;
    this.#isSameTurn = isSameTurn;
  }

  /** As of the last update. */
  get state(): LoopState {
    return this.#state;
  }

  /** Requests that one turn may start; infinite while the loop is on time. */
  get limit(): number {
    return this.#limit;
  }

  /** Whether the loop is late, or was until recently: work that can be left out must be. */
  get isLate(): boolean {
    return this.#state.isLate || this.#limit !== Number.POSITIVE_INFINITY;
  }

  /** Notes that a request was refused, for whatever reason. */
  noteRefusal(rank: number): void {
    this.#refusedOfRank[rank]!++;
  }

  /** Notes that a request arrived, before anything is decided. `ownerOf` returns its owner if its key is verified. */
  arrive(nowMs: number, ownerOf: () => string | null): void {
    if (this.#isWatching) this.#use.arrive(ownerOf(), nowMs);
  }

  /** Notes that a request of this owner has worked until now. */
  work(owner: string | null, nowMs: number): void {
    if (this.#isWatching) this.#use.work(owner, nowMs);
  }

  /** Whether the request that arrived last, of this rank, must yield to more important ones. */
  yields(rank: number): boolean {
    return this.#started[rank]! >= this.#mayStart[rank]! && !this.#use.mayExceed();
  }

  /** Whether this turn may start the request that arrived last, of this rank. */
  admits(rank: number): boolean {
    if (!this.#isWatching || this.#inTurn < this.#limit * SHARE_OF_RANK[rank]!) return true;
    if (this.#use.mayExceed()) return true;
    this.#refused++;
    return false;
  }

  enter(rank: number): void {
    this.#started[rank]!++;
    if (!this.#isWatching) return;
    this.#use.start();
    if (this.#inTurn++ === 0) setImmediate(this.#endTurn);
    if (this.#inTurn > this.#peakInTurn) this.#peakInTurn = this.#inTurn;
  }

  /** Updates the limits. Call it at intervals of some tens of milliseconds; `isStale` after a longer one. */
  update(elapsedMs: number, isStale = false): LoopState {
    // The mean of a long interval says nothing about now.
    const measuredMs = this.#delayMs();
    const delayMs = isStale ? 0 : measuredMs;
    this.#state = { isLate: this.#isSameTurn(), delayMs };
    this.#yield();
    if (delayMs > TARGET_MS && this.#peakInTurn > 0)
      this.#limit = Math.max(1, (Math.min(this.#peakInTurn, this.#limit) * TARGET_MS) / delayMs);
    else if (delayMs < WATCH_MS || this.#refused === 0) this.#limit = this.#limit * GROWTH + 1;
    if (this.#limit > TURN_MAX) this.#limit = Number.POSITIVE_INFINITY;
    this.#watch(elapsedMs);
    this.#peakInTurn = 0;
    this.#refused = 0;
    return this.#state;
  }

  /** Watches turns and owners as long as anything is limited, or is about to be. */
  #watch(elapsedMs: number): void {
    const wasWatching = this.#isWatching;
    this.#isWatching =
      this.isLate || this.#state.delayMs > WATCH_MS || this.#mayStart.some((count) => Number.isFinite(count));
    if (!this.#isWatching) return;
    // What was used before the loop was on time is long over.
    if (!wasWatching) this.#use = new LoopUse();
    this.#use.update(elapsedMs);
  }

  /**
   * While the loop is late, CPU time is what is short, and resources do not show who uses it. So each tier yields to
   * those above it as long as any of them is refused.
   */
  #yield(): void {
    let isHigherRefused = false;
    for (let rank = this.#mayStart.length - 1; rank >= 0; rank--) {
      const before = Math.min(this.#mayStart[rank]!, YIELD_MAX);
      if (this.#state.isLate && isHigherRefused)
        this.#mayStart[rank] = Math.max(YIELDED_MIN, Math.min(before, this.#started[rank]!) * YIELD);
      else this.#mayStart[rank] = before * GROWTH > YIELD_MAX ? Number.POSITIVE_INFINITY : before * GROWTH;
      isHigherRefused ||= this.#refusedOfRank[rank]! > 0;
      this.#started[rank] = 0;
      this.#refusedOfRank[rank] = 0;
    }
  }

  readonly #endTurn = () => {
    this.#inTurn = 0;
  };
}
