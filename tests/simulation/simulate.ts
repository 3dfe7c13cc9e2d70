import { FAULTS } from './faults.ts';
import type { PlantedBug } from './planted-bugs.ts';
import { Random } from './random.ts';
import { type Checks, Violation } from './referee.ts';
import { World } from './world.ts';

/** The outcome of one seed. */
export interface Outcome {
  readonly seed: number;
  readonly events: number;
  readonly checks: Checks;
  readonly hash: number;
  /** Whether a member was ever cut off so long that its permits could be lent to others. */
  readonly wasExcused: boolean;
  readonly violation: string | null;
}

const FIRST_FAULT_MS = 1500;
const LAST_FAULT_MS = 9000;
const END_MS = 14_000;
const LOAD_CHANGES_MS = 1000;

/** Weights of the workers, assigned in turn. */
const SPREADS: readonly (readonly number[])[] = [[1], [8, 1, 1, 1], [1, 0, 0, 0, 0, 0, 0, 0]];

/** Runs one seed, from which workers, load and faults are drawn. With `faultsMax` 0 there are no faults. */
export function simulate(
  seed: number,
  options: {
    readonly bug?: PlantedBug;
    readonly faultsMax?: number;
    readonly trace?: (line: string) => void;
  } = {},
): Outcome {
  const draw = new Random(seed ^ 0x5eed);
  const { faultsMax = 6, ...rest } = options;
  const cap = draw.whole(4, 40);
  const workers = draw.whole(2, 8);
  const meanWorkMs = draw.between(40, 250);
  const world = new World({ seed, cap, workers, meanWorkMs, longestWorkMs: 600, ...rest });

  const perSecondFull = (cap * 1000) / meanWorkMs;
  for (let atMs = 0; atMs < END_MS; atMs += LOAD_CHANGES_MS * draw.between(0.5, 1.5)) {
    const spread = draw.chance(0.4) ? Array.from({ length: 8 }, () => draw.next() ** 3) : draw.pick(SPREADS);
    const perSecond = perSecondFull * draw.pick([0.2, 0.8, 1.5, 3]);
    world.clock.at(atMs, () => world.demand(perSecond, spread));
  }
  for (let i = draw.whole(0, faultsMax); i > 0; i--) {
    const name = draw.pick(Object.keys(FAULTS));
    world.clock.at(draw.between(FIRST_FAULT_MS, LAST_FAULT_MS), () => {
      world.note(name);
      FAULTS[name]!(world, world.random);
    });
  }
  let events = 0;
  let violation: string | null = null;
  try {
    events = world.clock.runUntil(END_MS);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    violation = error.message;
    world.note(violation);
  }
  const { checks, wasExcused } = world.referee;
  return { seed, events, checks, hash: world.hash, wasExcused, violation };
}
