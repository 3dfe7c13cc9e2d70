/** Lengths and repetitions of the overload of `atlas serve`. Loads are multiples of the measured peak. */
export interface SaturationPlan {
  readonly loads: readonly number[];
  readonly rounds: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
  readonly peakSeconds: number;
}

const LOADS = [0.5, 1, 1.7, 3, 10] as const;

export const FULL_SATURATION_PLAN: SaturationPlan = {
  loads: LOADS,
  rounds: 3,
  warmUpSeconds: 1,
  seconds: 4,
  peakSeconds: 3,
};

export const QUICK_SATURATION_PLAN: SaturationPlan = {
  loads: LOADS,
  rounds: 1,
  warmUpSeconds: 1,
  seconds: 3,
  peakSeconds: 1,
};
