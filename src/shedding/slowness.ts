// Slower than that many times the baseline, or than this, is not taken as given: then the queue is meant.
const FACTOR_MAX = 10;
const SLOW_MS_MAX = 1000;
const KEPT = 0.999;
// An answer that takes so much longer than usual is slow.
const LATE = 1.1;
const MORE = 1.3;
const FEWER = 0.75;
const SETTLED_UPDATES = 2;
const SETTLED_LATENCIES = 1.5;
// After some answers' time at the lowest limits, it is tried out whether more in flight make answers slower. Where they
// do it costs callers time, so it is tried less and less often.
const PROBE_FACTOR = 2;
const PROBE_WAITS = 3;
const PROBE_WAITS_GROWTH = 4;
const PROBE_WAITS_MAX = 192;
const PROBE_SETTLING_MS = 100;
const PROBE_MORE_MIN = 0.25;

/** What was seen of a resource lately, smoothed. `inFlight` is what answers stand for (Little's law). */
export interface Seen {
  readonly inFlight: number;
  readonly latencyMs: number;
  readonly baselineMs: number;
}

/** What to do with the limits: multiply them, raise them to what was in flight, and leave them alone while probing. */
export interface ProbeStep {
  readonly factor: number;
  readonly acceptedInFlight: number;
  readonly isProbing: boolean;
}

const NOTHING: ProbeStep = { factor: 1, acceptedInFlight: 0, isProbing: false };

/**
 * How much slower than its baseline a resource is without a queue being the reason. Fewer in flight that are no faster,
 * or more in flight that are no slower, show that it is not the queue (the gradient of Netflix's concurrency-limits,
 * read the other way round). Then the slowness is taken as given for a while.
 */
export class Slowness {
  /** Times the baseline. */
  factor = 1;
  #reference: { readonly inFlight: number; readonly latencyMs: number; fellMs: number } | null = null;
  #probe: { readonly inFlight: number; readonly latencyMs: number; leftMs: number } | null = null;
  #pinnedMs = 0;
  #waits = PROBE_WAITS;

  /** Begins to look anew. What is known of the resource stays. */
  reset(): void {
    this.#reference = null;
    this.#probe = null;
    this.#pinnedMs = 0;
    this.#waits = PROBE_WAITS;
  }

  /** Nothing is slower than it is seen to be. */
  boundBy(ratio: number): void {
    if (ratio < this.factor) this.factor = Math.max(1, ratio);
  }

  /**
   * Looks whether fewer in flight were faster, once what was admitted since has completed. Answers what to go back to.
   */
  learn(elapsedMs: number, seen: Seen): number {
    this.factor = 1 + (this.factor - 1) * KEPT;
    const reference = this.#reference;
    const { inFlight, latencyMs } = seen;
    if (reference === null || inFlight > reference.inFlight * MORE) {
      this.#reference = { inFlight, latencyMs, fellMs: 0 };
      return 0;
    }
    if (inFlight > reference.inFlight * FEWER) return 0;
    reference.fellMs += elapsedMs;
    if (reference.fellMs < reference.latencyMs * SETTLED_LATENCIES + SETTLED_UPDATES * elapsedMs) return 0;
    this.#reference = { inFlight, latencyMs, fellMs: 0 };
    const faster = Math.log(reference.latencyMs / latencyMs);
    const fewer = Math.log(reference.inFlight / Math.max(inFlight, 0.1));
    return faster < fewer / 2 && this.#accept(seen) ? reference.inFlight : 0;
  }

  stopProbe(): void {
    this.#probe = null;
  }

  /** Tries more in flight where the limits can fall no further (`isPinned`). */
  probe(elapsedMs: number, seen: Seen, isPinned: boolean): ProbeStep {
    const { inFlight, latencyMs } = seen;
    const probe = this.#probe;
    if (probe === null) return this.#beginProbe(elapsedMs, seen, isPinned);
    probe.leftMs -= elapsedMs;
    if (probe.leftMs > 0) return { ...NOTHING, isProbing: true };
    this.#probe = null;
    const slower = Math.log(latencyMs / probe.latencyMs);
    const more = Math.log(inFlight / probe.inFlight);
    if (more > PROBE_MORE_MIN && slower < more / 2)
      return this.#accept(seen) ? { ...NOTHING, acceptedInFlight: inFlight } : NOTHING;
    this.#waits = Math.min(PROBE_WAITS_MAX, this.#waits * PROBE_WAITS_GROWTH);
    return NOTHING;
  }

  #beginProbe(elapsedMs: number, seen: Seen, isPinned: boolean): ProbeStep {
    const waitMs = PROBE_SETTLING_MS + Math.min(seen.latencyMs, SLOW_MS_MAX);
    this.#pinnedMs = isPinned && this.#isSlow(seen) ? this.#pinnedMs + elapsedMs : 0;
    if (this.#pinnedMs < this.#waits * waitMs) return NOTHING;
    this.#pinnedMs = 0;
    this.#probe = { inFlight: seen.inFlight, latencyMs: seen.latencyMs, leftMs: 2 * waitMs };
    return { factor: PROBE_FACTOR, acceptedInFlight: 0, isProbing: true };
  }

  #isSlow({ latencyMs, baselineMs }: Seen): boolean {
    return latencyMs > this.factor * baselineMs * LATE;
  }

  #accept(seen: Seen): boolean {
    if (!this.#isSlow(seen)) return false;
    const factorMax = Math.max(FACTOR_MAX, SLOW_MS_MAX / seen.baselineMs);
    this.factor = Math.min(factorMax, seen.latencyMs / seen.baselineMs);
    return true;
  }
}
