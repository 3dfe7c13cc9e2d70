import { type Account, availableOf, balanceOf } from '../account.ts';

/** Returns an account as the API shows it. */
export function toResource({ revision: _, ...account }: Account) {
  return { ...account, balance: balanceOf(account), available: availableOf(account) };
}
