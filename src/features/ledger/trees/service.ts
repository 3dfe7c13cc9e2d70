import { AtlasError } from '../../../errors.ts';
import { AMOUNT_MINOR_MAX } from '../../../utils/money.ts';
import type { Searches } from '../../searches.ts';
import { TREE_ACCOUNTS_MAX } from '../account.ts';
import type { TreeRepository } from './repository.ts';

const ROLLUPS_MAX = 2;
const ADVICE = 'Roll up the accounts below it one by one.';

/** The balances of an account and all accounts below it, in minor units. */
export interface Rollup {
  readonly accountId: string;
  readonly ledger: string;
  /** How many accounts it covers, with the account itself. */
  readonly accounts: number;
  readonly debitsPosted: number;
  readonly creditsPosted: number;
  readonly debitsPending: number;
  readonly creditsPending: number;
  readonly balance: number;
  readonly available: number;
  /** All balances are those of this moment. */
  readonly readAt: string;
}

/** Trees of accounts. */
export interface TreeService {
  /** Throws `account_not_found`, or `account_tree_too_large`. */
  rollup(owner: string, id: string, signal?: AbortSignal): Promise<Rollup>;
}

export function createTreeService(repository: TreeRepository, searches: Searches): TreeService {
  const inTurn = searches.inTurn(ROLLUPS_MAX, ADVICE);
  return {
    async rollup(owner, id, signal) {
      const found = await inTurn(owner, signal, () => repository.rollup(owner, id, signal));
      if (found === null) throw new AtlasError('account_not_found', `Account ${id} does not exist.`);
      const { ledger, accounts, readAt } = found;
      if (accounts > TREE_ACCOUNTS_MAX)
        throw new AtlasError(
          'account_tree_too_large',
          `The tree has more than ${TREE_ACCOUNTS_MAX} accounts.`,
        );
      const [debitsPosted, creditsPosted, debitsPending, creditsPending] = [
        Number(found.debitsPosted),
        Number(found.creditsPosted),
        Number(found.debitsPending),
        Number(found.creditsPending),
      ];
      if (Math.max(debitsPosted + debitsPending, creditsPosted + creditsPending) > AMOUNT_MINOR_MAX)
        throw new AtlasError('account_tree_too_large', `A sum of the tree exceeds ${AMOUNT_MINOR_MAX}.`);
      const balance = creditsPosted - debitsPosted;
      return {
        accountId: id,
        ledger,
        accounts,
        debitsPosted,
        creditsPosted,
        debitsPending,
        creditsPending,
        balance,
        available: balance - debitsPending,
        readAt: readAt.toISOString(),
      };
    },
  };
}
