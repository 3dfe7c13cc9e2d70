/** Thrown when a validation would take more steps than it may. */
export class BudgetSpent extends Error {
  constructor() {
    super('The validation takes too many steps.');
    this.name = 'BudgetSpent';
  }
}

/** Steps that a validation may take, so that its time is bounded whatever the schema and the value. */
export class StepBudget {
  #left: number;

  constructor(stepsMax: number) {
    this.#left = stepsMax;
  }

  /** Throws {@link BudgetSpent} if fewer steps are left. */
  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) throw new BudgetSpent();
  }
}
