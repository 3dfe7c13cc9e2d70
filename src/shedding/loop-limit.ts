// A longer turn of the event loop delays every request that arrives during it.
const TARGET_MS = 50;
const WATCH_MS = TARGET_MS / 2;
const GROWTH = 1.5;
const SHARE_OF_RANK = [0.6, 0.8, 1] as const;
const TURN_MAX = 1024;

/**
 * A limit on the requests started in one turn of the event loop. CPU-bound work never shows up as concurrency: while
 * it runs, other requests queue in their sockets. So the signal is the delay of the loop (as in Node's under-pressure),
 * and the limit is on requests per turn.
 */
export class LoopLimit {
  readonly #delayMs: () => number;
  readonly #isSameTurn: () => boolean;
  #isLate = false;
  #limit = Number.POSITIVE_INFINITY;
  #isWatching = false;
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

  /** Whether the last turn has outlasted the time between two updates, so that not even its delay was measured. */
  get isLate(): boolean {
    return this.#isLate;
  }

  /** Requests that one turn may start; infinite while the loop is on time. */
  get limit(): number {
    return this.#limit;
  }

  admits(rank: number): boolean {
    if (!this.#isWatching || this.#inTurn < this.#limit * SHARE_OF_RANK[rank]!) return true;
    this.#refused++;
    return false;
  }

  enter(): void {
    if (!this.#isWatching) return;
    if (this.#inTurn++ === 0) setImmediate(this.#endTurn);
    if (this.#inTurn > this.#peakInTurn) this.#peakInTurn = this.#inTurn;
  }

  /** Updates the limit, and returns the event loop delay in milliseconds. */
  update(): number {
    const delayMs = this.#delayMs();
    this.#isLate = this.#isSameTurn();
    const most = Math.max(1, this.#peakInTurn);
    if (delayMs > TARGET_MS && this.#peakInTurn > 0)
      this.#limit = Math.max(1, (Math.min(most, this.#limit) * TARGET_MS) / delayMs);
    else if (delayMs < WATCH_MS || this.#refused === 0) this.#limit = this.#limit * GROWTH + 1;
    if (this.#limit > TURN_MAX) this.#limit = Number.POSITIVE_INFINITY;
    this.#isWatching = delayMs > WATCH_MS || this.#limit !== Number.POSITIVE_INFINITY;
    this.#peakInTurn = 0;
    this.#refused = 0;
    return delayMs;
  }

  readonly #endTurn = () => {
    this.#inTurn = 0;
  };
}
