import { smooth } from '../utils/smooth.ts';
import type { Completions } from './adaptive-limit.ts';

// Up to this concurrency, requests do not queue behind one another.
const ALONE_MAX = 4;
// A mean of fewer is unreliable: where times vary, the shortest few would pass for typical.
const LEARN_FROM = 20;
const YOUNG_RESPONSES = 50;
const FALL = 0.4;
const ALONE_WEIGHT = 0.2;
const STANDARD_ERRORS = 2;
// A response that takes this multiple of the baseline has queued.
const LATE = 1.5;
const MEDIAN_STEP = 0.05;
// About one in ten requests that look hopeless is admitted, to check that they still are.
const DOUBT_STEP = MEDIAN_STEP / 10;
// These statuses are mostly sent before any resource is used; a response that took longer did use one.
const EARLY_MS_MAX = 1;
const REFUSED_EARLY = new Set([400, 401, 403, 413, 415, 429]);

/** Index of a route's times. Successes are separate from refusals, which can be much faster. */
export function timesOf(route: number, isSuccess: boolean): number {
  return route * 2 + (isSuccess ? 0 : 1);
}

/**
 * Response times of each route: without a queue (the baseline) and typical (the median). Plain numbers in arrays, so
 * that a request costs a few additions.
 *
 * A baseline falls as soon as responses are significantly faster. It rises only on samples with almost nothing in
 * flight, so it does not move while requests are refused, and no incident is long enough to become normal.
 */
export class RouteTimes {
  readonly #counts: Float64Array;
  readonly #failures: Float64Array;
  readonly #late: Float64Array;
  readonly #sumsMs: Float64Array;
  readonly #squares: Float64Array;
  /** Sums since the baseline was last updated. */
  readonly #learning: { count: number; sumMs: number; squares: number; peakInFlight: number }[];
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
      peakInFlight: 0,
    }));
    this.#baselinesMs = new Float64Array(routeCount);
    this.#isYoung = new Uint8Array(routeCount).fill(1);
    this.#mediansMs = new Float64Array(routeCount);
  }

  /** Counts a response by the index of its route; the other methods take one of {@link timesOf}. */
  addResponse(routeIndex: number, status: number, tookMs: number): void {
    const times = timesOf(routeIndex, status < 400 || status === 504);
    if (REFUSED_EARLY.has(status)) {
      if (tookMs >= EARLY_MS_MAX) this.addFailure(times);
    } else if (this.#isMeaningful(status, tookMs, times)) this.add(times, tookMs);
    else this.addFailure(times);
  }

  /** Whether a duration predicts others: that of a failure does not, and a timeout is only a lower bound. */
  #isMeaningful(status: number, tookMs: number, times: number): boolean {
    if (status === 504) return tookMs >= this.medianMs(times);
    return status !== 0 && status !== 499 && status < 500;
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

  /** Counts a request that finished, but whose duration predicts nothing. */
  addFailure(route: number): void {
    this.#failures[route]!++;
  }

  /** Median response time in milliseconds; 0 before the first response. */
  medianMs(route: number): number {
    return this.#mediansMs[route]!;
  }

  /** Lowers the median slightly, since refused requests cannot. */
  doubtMedian(route: number): void {
    this.#mediansMs[route]! *= 1 - DOUBT_STEP;
  }

  /** Returns and clears the completions of these routes, and updates their baselines. */
  take(routes: readonly number[], peakInFlight: number): Completions {
    let finished = 0;
    let count = 0;
    let late = 0;
    let durationMsSum = 0;
    let baselineMsSum = 0;
    for (const route of routes) {
      const completed = this.#counts[route]!;
      finished += completed + this.#failures[route]!;
      this.#failures[route] = 0;
      if (completed === 0) continue;
      const sumMs = this.#sumsMs[route]!;
      this.#learn(route, peakInFlight);
      count += completed;
      late += this.#late[route]!;
      this.#late[route] = 0;
      durationMsSum += sumMs;
      baselineMsSum += completed * this.#baselinesMs[route]!;
      this.#counts[route] = 0;
      this.#sumsMs[route] = 0;
      this.#squares[route] = 0;
    }
    return { finished, count, late, durationMsSum, baselineMsSum };
  }

  #learn(route: number, peakInFlight: number): void {
    const learning = this.#learning[route]!;
    learning.count += this.#counts[route]!;
    learning.sumMs += this.#sumsMs[route]!;
    learning.squares += this.#squares[route]!;
    learning.peakInFlight = Math.max(learning.peakInFlight, peakInFlight);
    const { count } = learning;
    const meanMs = learning.sumMs / count;
    const baselineMs = this.#baselinesMs[route]!;
    // The first responses to arrive are the fastest, so the first mean keeps growing. If it was learned in a queue, it
    // is too high and falls at the next drain; a mean that is too low would stay.
    if (this.#isYoung[route] === 1) {
      this.#baselinesMs[route] = meanMs;
      if (count < YOUNG_RESPONSES) return;
      this.#isYoung[route] = 0;
    } else if (count < LEARN_FROM) return;
    else if (learning.peakInFlight <= ALONE_MAX)
      this.#baselinesMs[route] = smooth(baselineMs, meanMs, ALONE_WEIGHT);
    else {
      const deviationMs = Math.sqrt(Math.max(0, learning.squares / count - meanMs * meanMs));
      const surelyMs = meanMs + (STANDARD_ERRORS * deviationMs) / Math.sqrt(count);
      if (surelyMs < baselineMs) this.#baselinesMs[route] = smooth(baselineMs, surelyMs, FALL);
    }
    this.#learning[route] = { count: 0, sumMs: 0, squares: 0, peakInFlight: 0 };
  }
}
