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
// At this many, all counts are halved, so that old samples fade.
const SAMPLES_MAX = 1024;
const UPDATE_EVERY = 32;
const QUANTILE = 0.99;
const MARGIN = 4;

/** Thrown when a call takes longer than calls of its kind usually do, or than its caller allows. */
export class CallTimeout extends Error {
  constructor(name: string, timeoutMs: number) {
    super(`${name} took longer than ${Math.round(timeoutMs)} ms`);
    this.name = 'CallTimeout';
  }
}

/**
 * A timeout that follows the latency of similar calls: four times their 99th percentile, between a floor and a maximum.
 * It starts at the maximum. A call that times out counts as a sample of that length, a lower bound. Without it, slow
 * calls would pull the timeout down; with it, the timeout grows fourfold once more than 1 % of calls time out.
 */
export class AdaptiveTimeout {
  readonly #options: TimeoutOptions;
  readonly #counts = new Float64Array(BUCKETS);
  #samples = 0;
  #newSamples = 0;
  #timeoutMs: number;

  constructor(options: TimeoutOptions) {
    this.#options = options;
    this.#timeoutMs = options.maxMs;
  }

  get timeoutMs(): number {
    return this.#timeoutMs;
  }

  /** Records a call that completed, or timed out, after this long. */
  observe(durationMs: number): void {
    const bucket = Math.ceil(Math.log(Math.max(1, durationMs)) / LOG_GROWTH);
    this.#counts[Math.min(BUCKETS - 1, bucket)]!++;
    if (++this.#samples >= SAMPLES_MAX) this.#fade();
    if (++this.#newSamples < UPDATE_EVERY || this.#samples < SAMPLES_MIN) return;
    this.#newSamples = 0;
    const { floorMs, maxMs } = this.#options;
    this.#timeoutMs = Math.min(maxMs, Math.max(floorMs, this.#quantileMs() * MARGIN));
  }

  #fade(): void {
    this.#samples = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const left = this.#counts[bucket]! / 2;
      // Drop less than a hundredth of a call.
      this.#counts[bucket] = left < 0.01 ? 0 : left;
      this.#samples += this.#counts[bucket]!;
    }
  }

  /** Upper bound of the bucket that holds the quantile. */
  #quantileMs(): number {
    let above = this.#samples * (1 - QUANTILE);
    for (let bucket = BUCKETS - 1; bucket > 0; bucket--) {
      above -= this.#counts[bucket]!;
      if (above < 0) return GROWTH ** bucket;
    }
    return 1;
  }
}
