import type { BenchPlan } from '../conditions.ts';

/** Lengths and repetitions of the measurements. Loads are multiples of the measured capacity. */
export interface OverloadPlan extends BenchPlan {
  readonly capacitySeconds: number;
  readonly databaseLoads: readonly number[];
  readonly slotsLoads: readonly number[];
  readonly rounds: number;
  readonly slotsRounds: number;
  readonly seconds: number;
  /** Repetitions of the step for Atlas. The other variants never settle, and get one. */
  readonly steps: number;
  readonly stepSeconds: number;
}

const LOADS = { databaseLoads: [0.8, 1, 2, 5, 10], slotsLoads: [0.8, 2, 5] } as const;

/** The default: about ten minutes. */
export const FULL_OVERLOAD_PLAN: OverloadPlan = {
  mode: 'full',
  ...LOADS,
  capacitySeconds: 3,
  rounds: 3,
  slotsRounds: 2,
  seconds: 5,
  steps: 5,
  stepSeconds: 5,
};

/** To try out the benchmark: about two minutes, too short for meaningful results. */
export const QUICK_OVERLOAD_PLAN: OverloadPlan = {
  mode: 'quick',
  ...LOADS,
  capacitySeconds: 1.5,
  rounds: 1,
  slotsRounds: 1,
  seconds: 2.5,
  steps: 1,
  stepSeconds: 3.5,
};
