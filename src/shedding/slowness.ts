// Slowness beyond this factor of the baseline, and beyond this latency, is never accepted: that is a queue.
const FACTOR_MAX = 10;
const SLOW_MS_MAX = 1000;
// How much of the accepted slowness is kept per update.
const RETAINED = 0.999;
// A response that takes this much longer than usual is slow.
const LATE = 1.1;
const MORE = 1.3;
const FEWER = 0.75;
const SETTLED_UPDATES = 2;
const SETTLED_LATENCIES = 1.5;
// After a few latencies at the lowest limits, a probe checks whether more in flight makes responses slower. If it does,
// it costs callers time, so the probes back off.
const PROBE_FACTOR = 2;
const PROBE_WAITS = 3;
const PROBE_WAITS_GROWTH = 4;
const PROBE_WAITS_MAX = 192;
const PROBE_SETTLING_MS = 100;
const PROBE_MORE_MIN = 0.25;

/** Recent averages of a resource. `inFlight` follows from rate and latency (Little's law). */
export interface Observation {
  readonly inFlight: number;
  readonly latencyMs: number;
  readonly baselineMs: number;
}

/** What to do with the limits: multiply them, raise them to a concurrency, or leave them alone during a probe. */
export interface ProbeStep {
  readonly factor: number;
  readonly acceptedInFlight: number;
  readonly isProbing: boolean;
}

const UNCHANGED: ProbeStep = { factor: 1, acceptedInFlight: 0, isProbing: false };

/**
 * Estimates how much slower than its baseline a resource is for reasons other than a queue. If fewer in flight are not
 * faster, or more are not slower, the queue is not the reason (the gradient of Netflix's concurrency-limits, inverted).
 * The slowness is then accepted for a while.
 */
export class Slowness {
  /** Accepted latency, as a multiple of the baseline. */
  factor = 1;
  #reference: { readonly inFlight: number; readonly latencyMs: number; fellMs: number } | null = null;
  #probe: { readonly inFlight: number; readonly latencyMs: number; leftMs: number } | null = null;
  #pinnedMs = 0;
  #waits = PROBE_WAITS;

  /** Restarts the measurements, but keeps the factor. */
  reset(): void {
    this.#reference = null;
    this.#probe = null;
    this.#pinnedMs = 0;
    this.#waits = PROBE_WAITS;
  }

  /** Caps the factor at an observed ratio of latency to baseline. */
  boundBy(ratio: number): void {
    if (ratio < this.factor) this.factor = Math.max(1, ratio);
  }

  /**
   * Checks whether fewer in flight were faster, once the requests admitted since have completed. Returns the
   * concurrency to restore, or 0.
   */
  learn(elapsedMs: number, observed: Observation): number {
    this.factor = 1 + (this.factor - 1) * RETAINED;
    const reference = this.#reference;
    const { inFlight, latencyMs } = observed;
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
    return faster < fewer / 2 && this.#accept(observed) ? reference.inFlight : 0;
  }

  stopProbe(): void {
    this.#probe = null;
  }

  /** Probes with more in flight once the limits can fall no further (`isPinned`). */
  probe(elapsedMs: number, observed: Observation, isPinned: boolean): ProbeStep {
    const { inFlight, latencyMs } = observed;
    const probe = this.#probe;
    if (probe === null) return this.#startProbe(elapsedMs, observed, isPinned);
    probe.leftMs -= elapsedMs;
    if (probe.leftMs > 0) return { ...UNCHANGED, isProbing: true };
    this.#probe = null;
    const slower = Math.log(latencyMs / probe.latencyMs);
    const more = Math.log(inFlight / probe.inFlight);
    if (more > PROBE_MORE_MIN && slower < more / 2)
      return this.#accept(observed) ? { ...UNCHANGED, acceptedInFlight: inFlight } : UNCHANGED;
    this.#waits = Math.min(PROBE_WAITS_MAX, this.#waits * PROBE_WAITS_GROWTH);
    return UNCHANGED;
  }

  #startProbe(elapsedMs: number, observed: Observation, isPinned: boolean): ProbeStep {
    const waitMs = PROBE_SETTLING_MS + Math.min(observed.latencyMs, SLOW_MS_MAX);
    this.#pinnedMs = isPinned && this.#isSlow(observed) ? this.#pinnedMs + elapsedMs : 0;
    if (this.#pinnedMs < this.#waits * waitMs) return UNCHANGED;
    this.#pinnedMs = 0;
    this.#probe = { inFlight: observed.inFlight, latencyMs: observed.latencyMs, leftMs: 2 * waitMs };
    return { factor: PROBE_FACTOR, acceptedInFlight: 0, isProbing: true };
  }

  #isSlow({ latencyMs, baselineMs }: Observation): boolean {
    return latencyMs > this.factor * baselineMs * LATE;
  }

  #accept(observed: Observation): boolean {
    if (!this.#isSlow(observed)) return false;
    const factorMax = Math.max(FACTOR_MAX, SLOW_MS_MAX / observed.baselineMs);
    this.factor = Math.min(factorMax, observed.latencyMs / observed.baselineMs);
    return true;
  }
}
