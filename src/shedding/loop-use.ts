import { FairShares } from '../utils/fair-shares.ts';

// No owner is named like that.
const UNKNOWN = '';
const OWNERS_MAX = 1024;
const HALF_LIFE_MS = 500;
// A longer step is usually a pause of the process, which is nobody's.
const STEP_MS_MAX = 50;
const HEAVY_SHARE = 0.5;
// What all owners that are not heavy may use beyond the limits between two updates, which are at least 50 ms apart.
// Each may use as much of it as it leaves to the others, so that one that is just below heavy does not use it up.
const SPARE_MS = 50;
const COST_MS_MIN = 0.01;

interface Use {
  ms: number;
  starts: number;
}

/**
 * Who used the time of a late event loop, in about the last second. Work that waits for nothing is never seen in
 * flight, so this measures the steps between the points at which admission sees a request. A step is the time of the
 * request at its end, or of the one at its start if the next one has just arrived. Callers without a verified key count
 * as one.
 */
export class LoopUse {
  // Bounded by OWNERS_MAX. Times and starts are halved every half second.
  readonly #uses = new Map<string, Use>();
  #totalMs = 0;
  #starts = 0;
  /** Owners that used at least as much are the heaviest, which used half of the time together. */
  #heavyMs = 0;
  #spareMs = new FairShares(SPARE_MS);
  #current = UNKNOWN;
  #steppedMs = Number.NaN;
  #mayExceed: boolean | null = null;

  /** Notes that a request arrived, whose caller is known by a verified key, or null. */
  arrive(owner: string | null, nowMs: number): void {
    this.#step(this.#current, nowMs);
    this.#current = owner ?? UNKNOWN;
    this.#mayExceed = null;
  }

  /** Notes that a request of this owner has worked until now. */
  work(owner: string | null, nowMs: number): void {
    this.#current = owner ?? UNKNOWN;
    this.#step(this.#current, nowMs);
  }

  /** Notes that the request that arrived last was started. */
  start(): void {
    this.#starts++;
    const use = this.#uses.get(this.#current);
    if (use !== undefined) use.starts++;
  }

  /**
   * Whether the request that arrived last may start beyond the limits, because its owner is not one of those that use
   * the time.
   */
  mayExceed(): boolean {
    this.#mayExceed ??= this.#takeSpare();
    return this.#mayExceed;
  }

  /** Call it at intervals of some tens of milliseconds. */
  update(elapsedMs: number): void {
    const retained = 0.5 ** (elapsedMs / HALF_LIFE_MS);
    this.#starts *= retained;
    this.#spareMs = new FairShares(SPARE_MS);
    for (const use of this.#uses.values()) {
      use.ms *= retained;
      use.starts *= retained;
    }
    this.#weigh();
  }

  #step(owner: string, nowMs: number): void {
    const ms = Math.min(nowMs - this.#steppedMs, STEP_MS_MAX);
    if (ms <= 0) return;
    this.#steppedMs = nowMs;
    if (Number.isNaN(ms)) return;
    const use = this.#uses.get(owner) ?? { ms: 0, starts: 0 };
    use.ms += ms;
    // The last one in the map is the one that worked last, so the first can be forgotten.
    if (!this.#uses.delete(owner) && this.#uses.size === OWNERS_MAX)
      this.#uses.delete(this.#uses.keys().next().value!);
    this.#uses.set(owner, use);
  }

  /** Finds the heaviest owners. */
  #weigh(): void {
    const uses = Array.from(this.#uses.values(), ({ ms }) => ms).sort((a, b) => b - a);
    this.#totalMs = uses.reduce((sum, ms) => sum + ms, 0);
    let heaviestMs = 0;
    const least = uses.find((ms) => {
      heaviestMs += ms;
      return heaviestMs >= this.#totalMs * HEAVY_SHARE;
    });
    this.#heavyMs = least ?? 0;
  }

  #takeSpare(): boolean {
    const use = this.#uses.get(this.#current);
    if ((use?.ms ?? 0) >= this.#heavyMs) return false;
    const isUsual = use !== undefined && use.starts >= 1;
    const costMs = isUsual ? use.ms / use.starts : this.#totalMs / Math.max(1, this.#starts);
    return this.#spareMs.take(this.#current, Math.max(costMs, COST_MS_MIN)) === null;
  }
}
