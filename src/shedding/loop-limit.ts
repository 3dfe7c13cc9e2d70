// A turn of the event loop that takes longer makes everybody wait who has come meanwhile.
const TARGET_MS = 50;
const WATCH_MS = TARGET_MS / 2;
const GROWTH = 1.5;
const SHARE_OF_RANK = [0.6, 0.8, 1] as const;
const TURN_MAX = 1024;

/**
 * A limit on the requests that are begun in one turn of the event loop. What computes is never seen in flight by others
 * of its process: they queue in the sockets while it runs. So the delay of the loop is what tells (as in Node's
 * under-pressure), and requests for one turn are what can be limited.
 */
export class LoopLimit {
  readonly #delayMs: () => number;
  #limit = Number.POSITIVE_INFINITY;
  #isWatching = false;
  #inTurn = 0;
  #mostInTurn = 0;
  #refused = 0;

  /** `delayMs` answers how late the event loop was since the last call, in milliseconds. */
  constructor(delayMs: () => number) {
    this.#delayMs = delayMs;
  }

  /** Requests that one turn may begin; infinite while the loop is on time. */
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
    if (this.#inTurn > this.#mostInTurn) this.#mostInTurn = this.#inTurn;
  }

  /** Moves the limit, and answers how late the loop was, in milliseconds. */
  update(): number {
    const delayMs = this.#delayMs();
    const most = Math.max(1, this.#mostInTurn);
    if (delayMs > TARGET_MS && this.#mostInTurn > 0)
      this.#limit = Math.max(1, (Math.min(most, this.#limit) * TARGET_MS) / delayMs);
    else if (delayMs < WATCH_MS || this.#refused === 0) this.#limit = this.#limit * GROWTH + 1;
    if (this.#limit > TURN_MAX) this.#limit = Number.POSITIVE_INFINITY;
    this.#isWatching = delayMs > WATCH_MS || this.#limit !== Number.POSITIVE_INFINITY;
    this.#mostInTurn = 0;
    this.#refused = 0;
    return delayMs;
  }

  readonly #endTurn = () => {
    this.#inTurn = 0;
  };
}
