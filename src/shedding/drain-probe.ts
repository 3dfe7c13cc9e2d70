import { TIER_RANKS } from './priority.ts';

// The first look comes soon, because what was learned at the beginning of an overload was learned in a queue.
const FIRST_MS = 400;
const PERIOD_MS = 10_000;
// Below what the resource works on at once, where the limit is a wait or two above it.
const FIRST_SHARE = 0.35;
const FIRST_SHARE_OF_CRITICAL = 0.45;
const SHARE = 0.6;
const BASELINES = 3;
const FALLEN = 0.9;

/**
 * Lets the line at a resource drain for a moment now and then, so that answers show how long they take without one:
 * while requests are refused, nothing else would (ProbeRTT of BBR, Cardwell et al., 2016).
 */
export class DrainProbe {
  #waitMs = FIRST_MS;
  #leftMs = 0;
  #beforeMs = 0;
  #isFirst = true;

  /** Begins anew at an overload: at leisure where the baseline was seen without a line before it. */
  reset(isTrusted: boolean): void {
    if (isTrusted) this.#isFirst = false;
    this.#waitMs = isTrusted ? PERIOD_MS : FIRST_MS;
    this.#leftMs = 0;
  }

  /** Whether the line is to be drained now. Times are in milliseconds; `latencyMs` is how long the line now is. */
  isDraining(elapsedMs: number, latencyMs: number, baselineMs: number): boolean {
    if (this.#leftMs > 0) {
      this.#leftMs -= elapsedMs;
      if (this.#leftMs > 0) return true;
      // What has fallen may fall further, so that is looked at again soon.
      const hasFallen = baselineMs < this.#beforeMs * FALLEN;
      this.#isFirst &&= hasFallen;
      this.#waitMs = hasFallen ? FIRST_MS : PERIOD_MS;
      return false;
    }
    this.#waitMs -= elapsedMs;
    if (this.#waitMs > 0) return false;
    this.#beforeMs = baselineMs;
    this.#leftMs = latencyMs + BASELINES * baselineMs;
    return true;
  }

  /**
   * The part of its limit that a rank keeps meanwhile. The most important callers are left alone, but for the first
   * time: then nobody knows yet whether it is they who stand in line.
   */
  shareOf(rank: number): number {
    const isCritical = rank === TIER_RANKS.critical;
    if (this.#isFirst) return isCritical ? FIRST_SHARE_OF_CRITICAL : FIRST_SHARE;
    return isCritical ? 1 : SHARE;
  }
}
