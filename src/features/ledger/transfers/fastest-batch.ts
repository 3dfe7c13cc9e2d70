// The fastest of the batches of this time and the time before stands for what even a small one takes.
const WINDOW_MS = 500;

/** The time that the fastest of the latest batches took. */
export class FastestBatch {
  #sinceMs = 0;
  #leastMs = Number.POSITIVE_INFINITY;
  #beforeMs = Number.POSITIVE_INFINITY;

  /** Milliseconds; 0 before the first batch. */
  get ms(): number {
    const leastMs = Math.min(this.#leastMs, this.#beforeMs);
    return leastMs === Number.POSITIVE_INFINITY ? 0 : leastMs;
  }

  add(tookMs: number, nowMs: number): void {
    if (nowMs - this.#sinceMs > WINDOW_MS) {
      this.#beforeMs = this.#leastMs;
      this.#leastMs = tookMs;
      this.#sinceMs = nowMs;
    } else this.#leastMs = Math.min(this.#leastMs, tookMs);
  }
}
