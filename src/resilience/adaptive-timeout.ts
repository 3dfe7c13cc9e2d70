/** Bounds of an adaptive timeout, in milliseconds. */
export interface TimeoutOptions {
  readonly floorMs: number;
  readonly maxMs: number;
}

// Buckets grow by a quarter from 1 ms, so the last one ends beyond an hour and a quantile is off by a quarter at most.
const GROWTH = 1.25;
const BUCKETS = 70;
const LOG_GROWTH = Math.log(GROWTH);
const SAMPLES_MIN = 100;
// At this many, all counts are halved: what was seen long ago fades.
const SAMPLES_MAX = 1024;
const LOOK_EVERY = 32;
const QUANTILE = 0.99;
const MARGIN = 4;

/** Why a call was given up: it took longer than calls of its kind do, or than its caller allowed. */
export class CallTimeout extends Error {
  constructor(name: string, timeoutMs: number) {
    super(`${name} took longer than ${Math.round(timeoutMs)} ms`);
    this.name = 'CallTimeout';
  }
}

/**
 * How long a call may take, by how long such calls take: four times their 99th percentile, between a floor and a
 * maximum, which holds until enough were seen. A call that timed out counts as having taken the timeout, the least it
 * can have taken. Left out, the slow ones would pull the timeout down; like this it rises once more than one in a
 * hundred time out, fourfold at a time and never past the maximum.
 */
export class AdaptiveTimeout {
  readonly #options: TimeoutOptions;
  readonly #counts = new Float64Array(BUCKETS);
  #samples = 0;
  #unseen = 0;
  #timeoutMs: number;

  constructor(options: TimeoutOptions) {
    this.#options = options;
    this.#timeoutMs = options.maxMs;
  }

  get timeoutMs(): number {
    return this.#timeoutMs;
  }

  /** Takes note of a call that ended, or was given up, after this long. */
  observe(durationMs: number): void {
    const bucket = Math.ceil(Math.log(Math.max(1, durationMs)) / LOG_GROWTH);
    this.#counts[Math.min(BUCKETS - 1, bucket)]!++;
    if (++this.#samples >= SAMPLES_MAX) this.#fade();
    if (++this.#unseen < LOOK_EVERY || this.#samples < SAMPLES_MIN) return;
    this.#unseen = 0;
    const { floorMs, maxMs } = this.#options;
    this.#timeoutMs = Math.min(maxMs, Math.max(floorMs, this.#quantileMs() * MARGIN));
  }

  #fade(): void {
    this.#samples = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const left = this.#counts[bucket]! / 2;
      // A rest of less than a hundredth of a call is forgotten.
      this.#counts[bucket] = left < 0.01 ? 0 : left;
      this.#samples += this.#counts[bucket]!;
    }
  }

  /** The upper end of the bucket that holds the quantile. */
  #quantileMs(): number {
    let above = this.#samples * (1 - QUANTILE);
    for (let bucket = BUCKETS - 1; bucket > 0; bucket--) {
      above -= this.#counts[bucket]!;
      if (above < 0) return GROWTH ** bucket;
    }
    return 1;
  }
}
