const DEATHS_MIN = 10;
const DEATHS_PER_WORKER = 3;
const DEATHS_WINDOW_MS = 60_000;

/**
 * Detects that restarting workers is pointless: within 60 s, more than 10 workers, and more than three for each slot,
 * died without becoming ready. The second bound keeps one common failure of many workers from being a crash loop.
 */
export class CrashLoop {
  /** This many deaths are not a crash loop yet. */
  readonly deathsMax: number;
  readonly #deathsMs: number[] = [];

  constructor(workers: number) {
    this.deathsMax = Math.max(DEATHS_MIN, DEATHS_PER_WORKER * workers);
  }

  /** Forgets all deaths, because a worker became ready. */
  reset(): void {
    this.#deathsMs.length = 0;
  }

  /** Records the death of a worker that never became ready. Returns true if there were too many. */
  recordDeath(nowMs: number): boolean {
    this.#deathsMs.push(nowMs);
    while (this.#deathsMs[0]! < nowMs - DEATHS_WINDOW_MS) this.#deathsMs.shift();
    return this.#deathsMs.length > this.deathsMax;
  }
}
