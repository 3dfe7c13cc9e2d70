import { percentile } from '../support/statistics.ts';
import { isServed, type Sample } from './samples.ts';
import { OBJECTIVE_MS } from './summary.ts';

/** One moment of a run: what became of the requests that were due in it. */
export interface Moment {
  /** Its beginning; 0 is the step. */
  readonly atMs: number;
  /** Good answers a second. */
  readonly goodput: number;
  /** Of answers of 2xx; NaN when there were none. */
  readonly p99Ms: number;
}

/** Cuts a run into moments of so many milliseconds, over all samples whose `dueMs` counts from the step. */
export function moments(
  samples: readonly Sample[],
  {
    fromMs,
    untilMs,
    stepMs,
    lengthMs,
  }: { fromMs: number; untilMs: number; stepMs: number; lengthMs: number },
): Moment[] {
  const sorted = [...samples].sort((a, b) => a.dueMs - b.dueMs);
  const found: Moment[] = [];
  let first = 0;
  for (let atMs = fromMs; atMs + lengthMs <= untilMs; atMs += stepMs) {
    while (first < sorted.length && sorted[first]!.dueMs < atMs) first++;
    const servedMs: number[] = [];
    for (let i = first; i < sorted.length && sorted[i]!.dueMs < atMs + lengthMs; i++) {
      if (isServed(sorted[i]!)) servedMs.push(sorted[i]!.durationMs);
    }
    const good = servedMs.filter((durationMs) => durationMs <= OBJECTIVE_MS).length;
    found.push({ atMs, goodput: (good * 1000) / lengthMs, p99Ms: percentile(servedMs, 0.99) });
  }
  return found;
}

/** What a moment must keep to count as settled. */
export interface Calm {
  readonly p99MsMax: number;
  readonly goodputMin: number;
}

/**
 * Milliseconds from the step to the first moment from which every later one keeps both bounds. Infinity when the run
 * ended before that.
 */
export function settlingMs(after: readonly Moment[], { p99MsMax, goodputMin }: Calm): number {
  const restless = after.findLastIndex(({ p99Ms, goodput }) => !(p99Ms <= p99MsMax) || goodput < goodputMin);
  return after[restless + 1]?.atMs ?? Number.POSITIVE_INFINITY;
}
