import { World } from './world.ts';

const CAP = 100;
const WORKERS = 4;
const MEAN_WORK_MS = 20;
const START_MS = 3000;
const END_MS = 13_000;
const SAMPLE_MS = 1;
const SKEW_MS = 1000;

/** How a demand of three times the cap is distributed: weights of the workers, drawn again every second. */
export const DEMANDS: Readonly<Record<string, (random: () => number) => readonly number[]>> = {
  even: () => [1],
  'skewed 8:1:1:1': () => [8, 1, 1, 1],
  'all on one worker': () => [1, 0, 0, 0],
  'random skew each second': (random) => Array.from({ length: WORKERS }, () => random() ** 2 + 0.01),
};

/** `closed`: callers with one request each, who retry when refused. `open`: arrivals independent of responses. */
export type Callers = 'closed' | 'open';

/** Returns the share of the cap in flight during ten seconds of three times the demand without faults. */
export function useOfCap(demand: keyof typeof DEMANDS, callers: Callers, seed: number): number {
  const world = new World({ seed, cap: CAP, workers: WORKERS, meanWorkMs: MEAN_WORK_MS, longestWorkMs: 600 });
  let inFlightSum = 0;
  let samples = 0;
  for (let atMs = 300; atMs < END_MS; atMs += SKEW_MS) {
    world.clock.at(atMs, () => {
      const weights = DEMANDS[demand]!(() => world.random.next());
      if (callers === 'open') world.demand((3 * CAP * 1000) / MEAN_WORK_MS, weights);
      else world.call(3 * CAP, weights);
    });
  }
  for (let atMs = START_MS; atMs < END_MS; atMs += SAMPLE_MS) {
    world.clock.at(atMs, () => {
      for (const { inFlight } of world.liveWorkers()) inFlightSum += inFlight;
      samples++;
    });
  }
  world.clock.runUntil(END_MS);
  return inFlightSum / samples / CAP;
}
