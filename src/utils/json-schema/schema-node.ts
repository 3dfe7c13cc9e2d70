import { Evaluated, type Evaluation, type Place } from './evaluation.ts';

/** Whether a value satisfies one keyword of a schema. Mistakes are recorded in the evaluation. */
export type Check = (value: unknown, at: Place | null, run: Evaluation, seen: Evaluated | null) => boolean;

/** A compiled schema, or subschema: the checks of its keywords. */
export class SchemaNode {
  readonly pointer: string;
  checks: readonly Check[] = [];
  /** Whether one of its keywords needs to know what the others have evaluated. */
  needsEvaluated = false;
  /** The schemas that it applies to the same value, which must not lead back to it. */
  readonly inPlace: SchemaNode[] = [];

  constructor(pointer: string) {
    this.pointer = pointer;
  }

  /** Adds what it evaluates to `seen`, if the caller needs to know. Throws `BudgetSpent`. */
  evaluate(value: unknown, at: Place | null, run: Evaluation, seen: Evaluated | null = null): boolean {
    run.enter();
    const own = seen === null && !this.needsEvaluated ? null : new Evaluated();
    let isValid = true;
    for (const check of this.checks) {
      if (check(value, at, run, own)) continue;
      isValid = false;
      if (run.isTrial) break;
    }
    if (isValid && seen !== null) seen.add(own!, run.budget);
    run.leave();
    return isValid;
  }
}
