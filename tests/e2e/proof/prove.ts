import fc from 'fast-check';
import type { ApiCaller } from '../../support/api-caller.ts';
import { program } from './program.ts';
import { type ProofStats, runProgram } from './run-program.ts';

/** How many programs to run, and how many at once, each on accounts of its own. */
export interface ProofOptions {
  readonly programs: number;
  readonly atOnce: number;
  /** Of the first; the others follow from it. */
  readonly seed: number;
  /** Whether a program that diverges is made smaller, as far as it still diverges. */
  readonly shrinks: boolean;
  onProgram?(done: number): void;
}

/** What the programs found. `divergences` has a report of each program that diverged, with its seed. */
export interface Proof extends ProofStats {
  readonly programs: number;
  readonly divergences: readonly string[];
}

/** Runs random programs of all commands against the model. */
export async function prove(
  atlas: ApiCaller,
  { programs, atOnce, seed, shrinks, onProgram }: ProofOptions,
): Promise<Proof> {
  const stats: ProofStats = { calls: 0, refused: 0, retried: 0 };
  const divergences: string[] = [];
  let done = 0;
  let started = 0;
  const runSome = async () => {
    while (started < programs) {
      const own = seed + started++;
      const property = fc.asyncProperty(program, (steps) => runProgram(atlas, steps, stats));
      const found = await fc.check(property, { numRuns: 1, seed: own, endOnFailure: !shrinks });
      if (found.failed) {
        const { counterexample, counterexamplePath, numShrinks, errorInstance } = found;
        divergences.push(
          `seed ${own}, path ${counterexamplePath}, after ${numShrinks} shrinks: ${JSON.stringify(counterexample?.[0])}\n${(errorInstance as Error | null)?.message}`,
        );
      }
      done++;
      onProgram?.(done);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, programs) }, runSome));
  return { programs: done, divergences, ...stats };
}
