/** Moves an exponentially weighted moving average toward a sample. A weight of 1 replaces the average. */
export function smooth(average: number, sample: number, weight: number): number {
  return average + (sample - average) * weight;
}
