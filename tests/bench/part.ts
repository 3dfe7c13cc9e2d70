import type { Plan } from './plan.ts';
import type { Target } from './targets.ts';

/** What the parts of a run share. */
export interface BenchRun {
  readonly plan: Plan;
  /** Returns the path of oha, which is built when it is first needed. */
  oha(): Promise<string>;
}

/** One part of the benchmark. Its result is stored as JSON; tables and targets follow from it. */
export interface Part<R> {
  readonly title: string;
  /** How it is measured, below its tables. */
  readonly note: string;
  /** Starts what it needs. What it started is stopped after it. */
  measure(run: BenchRun): Promise<R>;
  tables(result: R): string[];
  targets(result: R): Target[];
}

/** Defines a part; the type of its result is that of its measurement. */
export function definePart<R>(part: Part<R>): Part<R> {
  return part;
}
