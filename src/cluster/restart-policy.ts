const DELAY_MIN_MS = 100;
const DELAY_MAX_MS = 10_000;
const STABLE_MS = 60_000;

/** The backoff between two workers of one slot: none at first, then 100 ms, doubling up to 10 s. */
export class RestartPolicy {
  #deaths = 0;

  /** Returns the delay after an incarnation that ran for `uptimeMs`. After 60 s of uptime the backoff starts over. */
  delayMs(uptimeMs: number): number {
    if (uptimeMs >= STABLE_MS) this.#deaths = 0;
    const delayMs = this.#deaths === 0 ? 0 : Math.min(DELAY_MAX_MS, DELAY_MIN_MS * 2 ** (this.#deaths - 1));
    this.#deaths++;
    return delayMs;
  }
}
