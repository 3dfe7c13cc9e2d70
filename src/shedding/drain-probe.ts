import { TIER_RANKS } from './priority.ts';

// The first drain comes soon: a baseline learned at the start of an overload was learned in a queue.
const FIRST_MS = 400;
const PERIOD_MS = 10_000;
// Low enough to get below the resource's own concurrency, which the limit exceeds by a wait or two.
const FIRST_SHARE = 0.35;
const FIRST_SHARE_OF_CRITICAL = 0.45;
const SHARE = 0.6;
const BASELINES = 3;
const FALLEN = 0.9;

/**
 * Drains the queue at a resource for a moment now and then to measure latency without it, which nothing else shows
 * while requests are refused (ProbeRTT of BBR, Cardwell et al., 2016).
 */
export class DrainProbe {
  #waitMs = FIRST_MS;
  #leftMs = 0;
  #beforeMs = 0;
  #isFirst = true;

  /** Restarts at an overload. A trusted baseline was measured without a queue, so its first drain can wait. */
  reset(isTrusted: boolean): void {
    if (isTrusted) this.#isFirst = false;
    this.#waitMs = isTrusted ? PERIOD_MS : FIRST_MS;
    this.#leftMs = 0;
  }

  /** Whether to drain the queue now. `latencyMs` is how long the queue currently takes. */
  isDraining(elapsedMs: number, latencyMs: number, baselineMs: number): boolean {
    if (this.#leftMs > 0) {
      this.#leftMs -= elapsedMs;
      if (this.#leftMs > 0) return true;
      // A baseline that fell may fall further, so check again soon.
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
   * The share of its limit that a rank keeps during a drain. The most important tier is spared, except the first time:
   * the queue may consist of its own requests.
   */
  shareOf(rank: number): number {
    const isCritical = rank === TIER_RANKS.critical;
    if (this.#isFirst) return isCritical ? FIRST_SHARE_OF_CRITICAL : FIRST_SHARE;
    return isCritical ? 1 : SHARE;
  }
}
