import { percentile } from '../support/statistics.ts';
import { isServed, type Sample } from './samples.ts';
import { OBJECTIVE_MS } from './summary.ts';

/** One window of a run: the fate of the requests that were due in it. */
export interface Moment {
  /** Start of the window. The step is at 0. */
  readonly atMs: number;
  /** Good responses per second. */
  readonly goodput: number;
  /** Of 2xx responses. NaN if there were none. */
  readonly p99Ms: number;
}

/** Cuts a run into windows. The `dueMs` of the samples must count from the step. */
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

/** The bounds of a window that counts as settled. */
export interface Calm {
  readonly p99MsMax: number;
  readonly goodputMin: number;
}

/**
 * Returns the milliseconds from the step to the first window from which on all keep both bounds. Infinity if the run
 * ended before that.
 */
export function settlingMs(after: readonly Moment[], { p99MsMax, goodputMin }: Calm): number {
  const unsettled = after.findLastIndex(({ p99Ms, goodput }) => !(p99Ms <= p99MsMax) || goodput < goodputMin);
  return after[unsettled + 1]?.atMs ?? Number.POSITIVE_INFINITY;
}
