const DELAY_MIN_MS = 100;
const DELAY_MAX_MS = 10_000;
const STEADY_MS = 60_000;
const DEATHS_MIN = 10;
const DEATHS_PER_WORKER = 3;
const DEATHS_WINDOW_MS = 60_000;

/** How long one slot waits before its next worker: not at all at first, then 100 ms, doubled up to 10 s. */
export class RestartPolicy {
  #deaths = 0;

  /** Returns the delay after an incarnation of this length. One that lasted 60 s resets the backoff. */
  delayMs(lifeMs: number): number {
    if (lifeMs >= STEADY_MS) this.#deaths = 0;
    const delayMs = this.#deaths === 0 ? 0 : Math.min(DELAY_MAX_MS, DELAY_MIN_MS * 2 ** (this.#deaths - 1));
    this.#deaths++;
    return delayMs;
  }
}

/**
 * Tells when starting workers has become pointless: in 60 s more ended that were never ready than 10, or than three for
 * each worker, so that many workers which fail once for the same reason are not enough.
 */
export class CrashLoop {
  /** As many are no crash loop yet. */
  readonly deathsMax: number;
  readonly #deathsMs: number[] = [];

  constructor(workers: number) {
    this.deathsMax = Math.max(DEATHS_MIN, DEATHS_PER_WORKER * workers);
  }

  /** Notes that a worker is ready: what died before says nothing more. */
  ready(): void {
    this.#deathsMs.length = 0;
  }

  /** Notes the death of a worker that was never ready, and answers whether that was one too many. */
  died(nowMs: number): boolean {
    this.#deathsMs.push(nowMs);
    while (this.#deathsMs[0]! < nowMs - DEATHS_WINDOW_MS) this.#deathsMs.shift();
    return this.#deathsMs.length > this.deathsMax;
  }
}
