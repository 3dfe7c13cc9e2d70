import type { Tier } from '../../../src/utils/tier.ts';
import { percentile } from '../support/statistics.ts';
import { isServed, type SamplesByTier, TIER_MIX, TIERS } from './samples.ts';

/** A 2xx response within this time is good. Later ones count as failed. */
export const OBJECTIVE_MS = 200;

/** What callers saw in the measured part of one run. */
export interface Summary {
  /** Good responses per second. */
  readonly goodput: number;
  /** Of 2xx responses, however late. NaN if there were none. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** 429 responses per second. */
  readonly refusedPerSecond: number;
  /** Requests per second that had no response at the end of the run. */
  readonly unansweredPerSecond: number;
  /** Good responses ÷ requests due, by tier. */
  readonly success: Readonly<Record<Tier, number>>;
}

/** The part of a run that counts, in milliseconds since its start, and its offered load. */
export interface Window {
  readonly fromMs: number;
  readonly untilMs: number;
  readonly ratePerSecond: number;
}

/**
 * Summarizes a run. Every request that was due in the window counts, so one without a response is a failure. The window
 * must end {@link OBJECTIVE_MS} before the run, or its last requests would lack time.
 */
export function summarize(samples: SamplesByTier, { fromMs, untilMs, ratePerSecond }: Window): Summary {
  const seconds = (untilMs - fromMs) / 1000;
  const success = {} as Record<Tier, number>;
  const servedMs: number[] = [];
  let [good, refused, unanswered] = [0, 0, 0];
  for (const tier of TIERS) {
    const due = samples[tier].filter(({ dueMs }) => dueMs >= fromMs && dueMs < untilMs);
    // A request without a response has no row. The fixed rate gives the number that was due.
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
