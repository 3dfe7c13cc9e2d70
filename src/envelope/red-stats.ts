import { BUCKETS_MS, bucketOf } from '../utils/buckets.ts';
import type { MatchedRoute } from './exchange.ts';

const STATUS_MIN = 100;
const STATUS_COUNT = 500;

/**
 * Rate, errors, and duration of every route (the RED method) as plain numbers in preallocated arrays. The request path
 * writes them; a scrape reads them.
 */
export class RedStats {
  readonly routes: readonly MatchedRoute[];
  readonly #counts: Float64Array;
  readonly #buckets: Float64Array;
  readonly #sumsMs: Float64Array;
  /** Requests without a response yet. */
  inFlight = 0;

  constructor(routes: readonly MatchedRoute[]) {
    this.routes = routes;
    this.#counts = new Float64Array(routes.length * STATUS_COUNT);
    this.#buckets = new Float64Array(routes.length * (BUCKETS_MS.length + 1));
    this.#sumsMs = new Float64Array(routes.length);
  }

  /** Records one response. Allocates nothing. */
  record(routeIndex: number, status: number, durationMs: number): void {
    this.#counts[routeIndex * STATUS_COUNT + (status - STATUS_MIN)]!++;
    this.#buckets[routeIndex * (BUCKETS_MS.length + 1) + bucketOf(durationMs)]!++;
    this.#sumsMs[routeIndex]! += durationMs;
  }

  /** Visits every pair of route and status that occurred at least once. */
  forEachStatus(visit: (route: MatchedRoute, status: number, count: number) => void): void {
    for (const route of this.routes) {
      const from = route.index * STATUS_COUNT;
      for (let offset = 0; offset < STATUS_COUNT; offset++) {
        const count = this.#counts[from + offset]!;
        if (count > 0) visit(route, STATUS_MIN + offset, count);
      }
    }
  }

  /** Returns a route's counts per bucket (not cumulative; the last is everything slower) and its sum of durations. */
  durations(route: MatchedRoute): { buckets: Float64Array; sumMs: number } {
    const from = route.index * (BUCKETS_MS.length + 1);
    const buckets = this.#buckets.subarray(from, from + BUCKETS_MS.length + 1);
    return { buckets, sumMs: this.#sumsMs[route.index]! };
  }
}
