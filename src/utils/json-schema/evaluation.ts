import { pointerStep } from '../json-pointer.ts';
import type { SchemaNode } from './schema-node.ts';
import { BudgetSpent, StepBudget } from './step-budget.ts';

/** One mistake in a value. `pointer` is a JSON pointer (RFC 6901) into it. */
export interface ValueFault {
  readonly pointer: string;
  readonly detail: string;
}

/** Where a value is, as a list from its end: most values are valid, and need no pointer. */
export interface Place {
  readonly parent: Place | null;
  readonly step: string | number;
}

const FAULTS_MAX = 20;
// Nested evaluations use the stack. What a schema needs is a few for each level of the value.
const DEPTH_MAX = 1000;

/** The state of one validation. */
export class Evaluation {
  readonly budget: StepBudget;
  readonly faults: ValueFault[] = [];
  #depth = 0;
  #trials = 0;

  constructor(stepsMax: number) {
    this.budget = new StepBudget(stepsMax);
  }

  /** Whether the first mistake decides, because mistakes are not reported. */
  get isTrial(): boolean {
    return this.#trials > 0;
  }

  /** Records a mistake. Returns false. */
  fault(at: Place | null, detail: string): false {
    if (!this.isTrial && this.faults.length < FAULTS_MAX)
      this.faults.push({ pointer: pointerTo(at), detail });
    return false;
  }

  /** Evaluates a schema that may fail without that being a mistake, such as a branch of `anyOf`. */
  tries(node: SchemaNode, value: unknown, seen: Evaluated | null = null): boolean {
    this.#trials++;
    const isValid = node.evaluate(value, null, this, seen);
    this.#trials--;
    return isValid;
  }

  /** Counts the evaluation of one schema for one value. Throws `BudgetSpent`. */
  enter(): void {
    this.budget.spend(1);
    if (++this.#depth > DEPTH_MAX) throw new BudgetSpent();
  }

  leave(): void {
    this.#depth--;
  }
}

/** What of an object or array schemas have evaluated, for `unevaluatedProperties` and `unevaluatedItems`. */
export class Evaluated {
  readonly names = new Set<string>();
  readonly items = new Set<number>();
  hasAllNames = false;
  /** How many items from the start, besides `items`. */
  itemCount = 0;

  add({ names, items, hasAllNames, itemCount }: Evaluated, budget: StepBudget): void {
    budget.spend(names.size + items.size);
    for (const name of names) this.names.add(name);
    for (const item of items) this.items.add(item);
    this.hasAllNames ||= hasAllNames;
    this.itemCount = Math.max(this.itemCount, itemCount);
  }

  hasName(name: string): boolean {
    return this.hasAllNames || this.names.has(name);
  }

  hasItem(index: number): boolean {
    return index < this.itemCount || this.items.has(index);
  }
}

function pointerTo(at: Place | null): string {
  let pointer = '';
  for (let place = at; place !== null; place = place.parent)
    pointer = `/${pointerStep(String(place.step))}${pointer}`;
  return pointer;
}
