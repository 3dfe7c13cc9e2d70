import type { Actor } from '../../../utils/actor.ts';
import type { Chosen, ReassignmentRepository } from './repository.ts';

const STEP_ACCOUNTS_MAX = 500;

/** Moves accounts to another organization, on behalf of an operator. */
export interface Reassignment {
  /**
   * Counts the accounts that would be moved, and returns the chosen IDs that neither organization has. Throws an Error
   * with a remedy if the accounts cannot be moved there.
   */
  preview(chosen: Chosen, to: string): Promise<{ accounts: number; missing: readonly string[] }>;
  /** Moves them in steps, so that payments go on, and returns how many. If it is interrupted, repeat it. */
  run(chosen: Chosen, to: string, actor: Actor): Promise<number>;
}

export function createReassignment(repository: ReassignmentRepository): Reassignment {
  return {
    async preview(chosen, to) {
      if (chosen.from === to)
        throw new Error(
          `No account was moved.\n  why:  the accounts belong to ${to} already\n  do:   name another organization with --to`,
        );
      // Neither may be the test space of an organization: what test keys own must never become real money.
      if (!(await repository.isOrganization(chosen.from)))
        throw new Error(
          `No account was moved.\n  why:  there is no organization ${chosen.from}\n  do:   name the one that has the accounts with --from; accounts of test keys cannot be moved`,
        );
      if (!(await repository.isOrganization(to)))
        throw new Error(
          `No account was moved.\n  why:  there is no organization ${to}\n  do:   check the ID, or create its first key: npm run -s atlas -- key create --owner ${to} --name NAME`,
        );
      const { inTrees, ...found } = await repository.count(chosen, to);
      if (inTrees.length > 0)
        throw new Error(
          `No account was moved.\n  why:  all accounts of a tree have one owner, and these have a parent or children: ${inTrees.join(', ')}\n  do:   take them out of their trees first: npm run -s atlas -- accounts update ID --root`,
        );
      return found;
    },
    async run(chosen, to, actor) {
      let moved = 0;
      for (let step = STEP_ACCOUNTS_MAX; step === STEP_ACCOUNTS_MAX; moved += step)
        step = await repository.reassign(chosen, to, STEP_ACCOUNTS_MAX, actor);
      return moved;
    },
  };
}
