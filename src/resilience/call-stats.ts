import { BUCKETS_MS, bucketOf } from '../utils/buckets.ts';

export const CALL_OUTCOMES = [
  'ok',
  'error',
  'failure',
  'timeout',
  'aborted',
  'refused_open',
  'refused_full',
] as const;

/** How an attempt ended: answered well or with an error; not answered; given up by its caller; or never made. */
export type CallOutcome = (typeof CALL_OUTCOMES)[number];

/** Counts of the calls of one dependency since the start. */
export class CallStats {
  readonly outcomes = Object.fromEntries(CALL_OUTCOMES.map((outcome) => [outcome, 0])) as Record<
    CallOutcome,
    number
  >;
  /** Durations of the attempts that were made, as counts per bucket of `BUCKETS_MS`. */
  readonly buckets = new Float64Array(BUCKETS_MS.length + 1);
  sumMs = 0;
  retries = 0;
  /** Retries that were not made because the budget was used up. */
  retriesDenied = 0;
  /** Calls that did not end when they were told to, and whose slot was given up. */
  abandoned = 0;

  /** An attempt that was made has ended. */
  count(outcome: CallOutcome, durationMs: number): void {
    this.outcomes[outcome]++;
    this.sumMs += durationMs;
    this.buckets[bucketOf(durationMs)]!++;
  }
}
