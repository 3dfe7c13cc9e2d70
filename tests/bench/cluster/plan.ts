import type { BenchPlan } from '../conditions.ts';
import { FULL_PLAN, type Plan, QUICK_PLAN } from '../plan.ts';

/** Lengths and repetitions of the measurements. */
export interface ClusterPlan extends BenchPlan {
  readonly demandSeconds: number;
  readonly transferRounds: number;
  readonly transferSeconds: number;
  readonly cpuRounds: number;
  readonly cpuSeconds: number;
  readonly callersSeconds: number;
  readonly deaths: number;
  readonly refusalRounds: number;
  readonly refusalSeconds: number;
  readonly envelope: Plan;
}

/** The default: about six minutes. */
export const FULL_CLUSTER_PLAN: ClusterPlan = {
  mode: 'full',
  demandSeconds: 8,
  transferRounds: 5,
  transferSeconds: 4,
  cpuRounds: 5,
  cpuSeconds: 3,
  callersSeconds: 12,
  deaths: 5,
  refusalRounds: 5,
  refusalSeconds: 2,
  envelope: FULL_PLAN,
};

/** To try out the benchmark: too short for meaningful results. */
export const QUICK_CLUSTER_PLAN: ClusterPlan = {
  mode: 'quick',
  demandSeconds: 3,
  transferRounds: 1,
  transferSeconds: 2,
  cpuRounds: 2,
  cpuSeconds: 1.5,
  callersSeconds: 6,
  deaths: 2,
  refusalRounds: 2,
  refusalSeconds: 1.5,
  envelope: QUICK_PLAN,
};
