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

/**
 * The outcome of an attempt. `error`: the dependency responded with an error. `failure`, `timeout`: it did not respond.
 * `aborted`: the caller canceled. `refused_open`, `refused_full`: the attempt was not made.
 */
export type CallOutcome = (typeof CALL_OUTCOMES)[number];

/** Counters for the calls to one dependency since the start. */
export class CallStats {
  readonly outcomes = Object.fromEntries(CALL_OUTCOMES.map((outcome) => [outcome, 0])) as Record<
    CallOutcome,
    number
  >;
  /** Durations of attempts, as counts per bucket of `BUCKETS_MS`. */
  readonly buckets = new Float64Array(BUCKETS_MS.length + 1);
  sumMs = 0;
  retries = 0;
  /** Retries denied because the budget was exhausted. */
  retriesDenied = 0;
  /** Calls that did not end after they were canceled, so that their slot was released without them. */
  abandoned = 0;

  /** Records an attempt that has ended. */
  count(outcome: CallOutcome, durationMs: number): void {
    this.outcomes[outcome]++;
    this.sumMs += durationMs;
    this.buckets[bucketOf(durationMs)]!++;
  }
}
