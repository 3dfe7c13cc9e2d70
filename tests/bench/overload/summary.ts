import type { Tier } from '../../../src/utils/tier.ts';
import { percentile } from '../support/statistics.ts';
import { isServed, type SamplesByTier, TIER_MIX, TIERS } from './samples.ts';

/** An answer of 2xx within this time is a good one; later ones count as failed. */
export const OBJECTIVE_MS = 200;

/** What callers saw in the measured part of one run. */
export interface Summary {
  /** Good answers a second. */
  readonly goodput: number;
  /** Of answers of 2xx, however late; NaN when there were none. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers of 429 a second. */
  readonly refusedPerSecond: number;
  /** Requests without an answer at the end of the run, a second: they still waited. */
  readonly unansweredPerSecond: number;
  /** Good answers ÷ requests that were due, by tier. */
  readonly success: Readonly<Record<Tier, number>>;
}

/** The part of a run that counts, in milliseconds since its start, and what was offered in all of it. */
export interface Window {
  readonly fromMs: number;
  readonly untilMs: number;
  readonly ratePerSecond: number;
}

/**
 * Sums a run up. Every request that was due in the window counts, so one that was never answered is a failure; the window
 * must end {@link OBJECTIVE_MS} before the run, or the last ones would not have had their time.
 */
export function summarise(samples: SamplesByTier, { fromMs, untilMs, ratePerSecond }: Window): Summary {
  const seconds = (untilMs - fromMs) / 1000;
  const success = {} as Record<Tier, number>;
  const servedMs: number[] = [];
  let [good, refused, unanswered] = [0, 0, 0];
  for (const tier of TIERS) {
    const due = samples[tier].filter(({ dueMs }) => dueMs >= fromMs && dueMs < untilMs);
    // What was due and never answered has no row; the fixed rate says how many there must have been.
    const offered = Math.max(due.length, Math.floor(ratePerSecond * TIER_MIX[tier] * seconds));
    const served = due.filter(isServed);
    const inTime = served.filter(({ durationMs }) => durationMs <= OBJECTIVE_MS).length;
    for (const { durationMs } of served) servedMs.push(durationMs);
    success[tier] = inTime / offered;
    good += inTime;
    refused += due.filter(({ status }) => status === 429).length;
    unanswered += offered - due.length;
  }
  return {
    goodput: good / seconds,
    p50Ms: percentile(servedMs, 0.5),
    p99Ms: percentile(servedMs, 0.99),
    refusedPerSecond: refused / seconds,
    unansweredPerSecond: unanswered / seconds,
    success,
  };
}
