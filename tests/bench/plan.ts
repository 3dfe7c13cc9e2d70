import type { HistoryPlan } from './account-history.ts';
import type { BenchPlan } from './conditions.ts';

/** Rounds of a part, and the length of each measurement in it. */
export interface Rounds {
  readonly rounds: number;
  readonly seconds: number;
}

/** Loads of `atlas serve` as multiples of its measured peak. The first second of each run is not counted. */
export interface OverloadLoads extends Rounds {
  readonly loads: readonly number[];
  readonly peakSeconds: number;
}

/** Lengths and repetitions of the measurements, by part. */
export interface Plan extends BenchPlan {
  readonly envelope: Rounds;
  readonly layers: Rounds;
  readonly quotas: Rounds;
  readonly audit: Rounds;
  readonly refusals: Rounds;
  readonly overload: OverloadLoads;
  readonly mixed: OverloadLoads;
  readonly transfers: Rounds;
  readonly limits: Rounds;
  readonly workers: Rounds;
  readonly 'sign-ins': Rounds;
  readonly reads: Rounds;
  readonly verification: { readonly transfers: number };
  readonly search: Rounds & { readonly transfers: number };
  readonly history: HistoryPlan;
  readonly imports: { readonly rounds: number; readonly thousandLines: number };
  readonly memory: { readonly stressSeconds: number; readonly steadySeconds: number };
  /** Of a comparison with another revision. */
  readonly compare: Rounds;
  readonly start: { readonly first: number; readonly later: number };
}

const OVERLOADS = [0.5, 1, 1.7, 3, 10] as const;
const MIXED_OVERLOADS = [1, 5] as const;

/** The default: about half an hour. */
export const FULL_PLAN: Plan = {
  mode: 'full',
  envelope: { rounds: 5, seconds: 4 },
  layers: { rounds: 5, seconds: 2 },
  quotas: { rounds: 7, seconds: 2 },
  audit: { rounds: 7, seconds: 3 },
  refusals: { rounds: 5, seconds: 2 },
  overload: { loads: OVERLOADS, rounds: 3, seconds: 4, peakSeconds: 3 },
  mixed: { loads: MIXED_OVERLOADS, rounds: 3, seconds: 4, peakSeconds: 3 },
  transfers: { rounds: 3, seconds: 5 },
  limits: { rounds: 3, seconds: 3 },
  workers: { rounds: 5, seconds: 4 },
  'sign-ins': { rounds: 3, seconds: 4 },
  reads: { rounds: 5, seconds: 3 },
  verification: { transfers: 1_000_000 },
  search: { rounds: 3, seconds: 2, transfers: 1_000_000 },
  history: { rounds: 5, reads: 1000, streams: 3 },
  imports: { rounds: 3, thousandLines: 200 },
  memory: { stressSeconds: 5, steadySeconds: 420 },
  compare: { rounds: 5, seconds: 3 },
  start: { first: 3, later: 5 },
};

/** To try out the benchmark: about five minutes, too short for meaningful results. */
export const QUICK_PLAN: Plan = {
  mode: 'quick',
  envelope: { rounds: 2, seconds: 1.5 },
  layers: { rounds: 1, seconds: 1 },
  quotas: { rounds: 2, seconds: 1 },
  audit: { rounds: 3, seconds: 1.5 },
  refusals: { rounds: 2, seconds: 1 },
  overload: { loads: OVERLOADS, rounds: 1, seconds: 3, peakSeconds: 1 },
  mixed: { loads: MIXED_OVERLOADS, rounds: 1, seconds: 2, peakSeconds: 1 },
  transfers: { rounds: 1, seconds: 2 },
  limits: { rounds: 1, seconds: 1 },
  workers: { rounds: 1, seconds: 2 },
  'sign-ins': { rounds: 1, seconds: 2 },
  reads: { rounds: 2, seconds: 1.5 },
  verification: { transfers: 100_000 },
  search: { rounds: 1, seconds: 1, transfers: 50_000 },
  history: { rounds: 2, reads: 200, streams: 1 },
  imports: { rounds: 1, thousandLines: 50 },
  memory: { stressSeconds: 1, steadySeconds: 12 },
  compare: { rounds: 1, seconds: 1 },
  start: { first: 1, later: 1 },
};
