import type { BenchPlan } from '../conditions.ts';

/** Lengths and repetitions of the measurements. */
export interface ClusterPlan extends BenchPlan {
  readonly demandSeconds: number;
  readonly cpuRounds: number;
  readonly cpuSeconds: number;
  readonly callersSeconds: number;
  readonly deaths: number;
}

/** The default: about three minutes. */
export const FULL_CLUSTER_PLAN: ClusterPlan = {
  mode: 'full',
  demandSeconds: 8,
  cpuRounds: 5,
  cpuSeconds: 3,
  callersSeconds: 12,
  deaths: 5,
};

/** To try out the benchmark: too short for meaningful results. */
export const QUICK_CLUSTER_PLAN: ClusterPlan = {
  mode: 'quick',
  demandSeconds: 3,
  cpuRounds: 2,
  cpuSeconds: 1.5,
  callersSeconds: 6,
  deaths: 2,
};
