import { smooth } from '../utils/smooth.ts';
import type { Completions } from './adaptive-limit.ts';

// Below this many at once, nobody waits for another: then an answer takes what it takes.
const ALONE_MAX = 4;
// A mean of fewer says too little: where times vary, the shortest few would pass for the usual.
const LEARN_FROM = 20;
const YOUNG_ANSWERS = 50;
const FALL = 0.4;
const ALONE_WEIGHT = 0.2;
const STANDARD_ERRORS = 2;
// An answer that takes so much longer than it would alone has waited.
const LATE = 1.5;
const MEDIAN_STEP = 0.05;
// One in ten of the hopeless is let through, to see whether they still are.
const DOUBT_STEP = MEDIAN_STEP / 10;

/**
 * How long the answers of each route take: with nobody in line (the baseline) and usually (the median). Plain numbers
 * in arrays, so that a request costs a few additions.
 *
 * A baseline falls as soon as answers are faster beyond chance. It rises only by what was seen with hardly anybody in
 * flight, so it stands still while requests are refused, and no incident is long enough to become normal.
 */
export class RouteTimes {
  readonly #counts: Float64Array;
  readonly #failures: Float64Array;
  readonly #late: Float64Array;
  readonly #sumsMs: Float64Array;
  readonly #squares: Float64Array;
  /** What was summed up since a baseline was last moved. */
  readonly #learning: { count: number; sumMs: number; squares: number; mostInFlight: number }[];
  readonly #baselinesMs: Float64Array;
  readonly #isYoung: Uint8Array;
  readonly #mediansMs: Float64Array;

  constructor(routeCount: number) {
    this.#counts = new Float64Array(routeCount);
    this.#failures = new Float64Array(routeCount);
    this.#late = new Float64Array(routeCount);
    this.#sumsMs = new Float64Array(routeCount);
    this.#squares = new Float64Array(routeCount);
    this.#learning = Array.from({ length: routeCount }, () => ({
      count: 0,
      sumMs: 0,
      squares: 0,
      mostInFlight: 0,
    }));
    this.#baselinesMs = new Float64Array(routeCount);
    this.#isYoung = new Uint8Array(routeCount).fill(1);
    this.#mediansMs = new Float64Array(routeCount);
  }

  add(route: number, durationMs: number): void {
    this.#counts[route]!++;
    this.#sumsMs[route]! += durationMs;
    this.#squares[route]! += durationMs * durationMs;
    const baselineMs = this.#baselinesMs[route]!;
    if (baselineMs > 0 && durationMs > baselineMs * LATE) this.#late[route]!++;
    // Stochastic approximation (Robbins and Monro): as many steps up as down is the median.
    const median = this.#mediansMs[route]!;
    if (median === 0) this.#mediansMs[route] = durationMs;
    else this.#mediansMs[route] = median * (durationMs > median ? 1 + MEDIAN_STEP : 1 - MEDIAN_STEP);
  }

  /** Counts a request that ended, but whose time says nothing of the next one. */
  addFailure(route: number): void {
    this.#failures[route]!++;
  }

  /** Milliseconds that half of the answers take; 0 where none is known. */
  medianMs(route: number): number {
    return this.#mediansMs[route]!;
  }

  /** Lets the median fall, for want of answers that could lower it. */
  doubtMedian(route: number): void {
    this.#mediansMs[route]! *= 1 - DOUBT_STEP;
  }

  /** Sums up and forgets what these routes completed, and moves their baselines. */
  take(routes: readonly number[], mostInFlight: number): Completions {
    let ended = 0;
    let count = 0;
    let late = 0;
    let durationMsSum = 0;
    let baselineMsSum = 0;
    for (const route of routes) {
      const completed = this.#counts[route]!;
      ended += completed + this.#failures[route]!;
      this.#failures[route] = 0;
      if (completed === 0) continue;
      const sumMs = this.#sumsMs[route]!;
      this.#learn(route, mostInFlight);
      count += completed;
      late += this.#late[route]!;
      this.#late[route] = 0;
      durationMsSum += sumMs;
      baselineMsSum += completed * this.#baselinesMs[route]!;
      this.#counts[route] = 0;
      this.#sumsMs[route] = 0;
      this.#squares[route] = 0;
    }
    return { ended, count, late, durationMsSum, baselineMsSum };
  }

  #learn(route: number, mostInFlight: number): void {
    const learning = this.#learning[route]!;
    learning.count += this.#counts[route]!;
    learning.sumMs += this.#sumsMs[route]!;
    learning.squares += this.#squares[route]!;
    learning.mostInFlight = Math.max(learning.mostInFlight, mostInFlight);
    const { count } = learning;
    const meanMs = learning.sumMs / count;
    const known = this.#baselinesMs[route]!;
    // The first to be answered are the fastest, so the first mean grows with what follows. A line that it may have been
    // learned in drains soon: too low would stay, too high does not.
    if (this.#isYoung[route] === 1) {
      this.#baselinesMs[route] = meanMs;
      if (count < YOUNG_ANSWERS) return;
      this.#isYoung[route] = 0;
    } else if (count < LEARN_FROM) return;
    else if (learning.mostInFlight <= ALONE_MAX)
      this.#baselinesMs[route] = smooth(known, meanMs, ALONE_WEIGHT);
    else {
      const deviationMs = Math.sqrt(Math.max(0, learning.squares / count - meanMs * meanMs));
      const surelyMs = meanMs + (STANDARD_ERRORS * deviationMs) / Math.sqrt(count);
      if (surelyMs < known) this.#baselinesMs[route] = smooth(known, surelyMs, FALL);
    }
    this.#learning[route] = { count: 0, sumMs: 0, squares: 0, mostInFlight: 0 };
  }
}
