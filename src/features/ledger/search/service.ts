import { type Abortable, AbortableSignal } from '../../../utils/abortable.ts';
import type { Searches } from '../../searches.ts';
import type { AccountService } from '../accounts/service.ts';
import type { Transfer } from '../movement.ts';
import type { Found, Search } from './found.ts';
import type { SearchRepository } from './repository.ts';

type Account = Awaited<ReturnType<AccountService['find']>>;

const SEARCHES_MAX = 2;
const ADVICE = 'Search for fewer values, or in a range of createdAt.';

/** A page of a search, without what was found. */
type PageInfo = Omit<Found, 'ids'>;
export type FoundTransfers = PageInfo & { readonly transfers: readonly Transfer[] };
export type FoundAccounts = PageInfo & { readonly accounts: readonly Account[] };

/** Searches of what an owner has. All throw `AtlasError`, `search_not_ready` among others. */
export interface SearchService {
  transfers(search: Search, signal?: AbortSignal): Promise<FoundTransfers>;
  accounts(search: Search, signal?: AbortSignal): Promise<FoundAccounts>;
}

/** What has been found is read like anything else, so nobody sees more of it than without a search. */
export function createSearchService(
  repository: Pick<SearchRepository, 'transfers' | 'accounts'>,
  accounts: { find(owner: string, id: string, caller?: Abortable): Promise<Account | null> },
  transfers: { find(owner: string, id: string, signal?: AbortSignal): Promise<Transfer | null> },
  searches: Searches,
): SearchService {
  const inTurn = searches.inTurn(SEARCHES_MAX, ADVICE);
  return {
    async transfers(search, signal) {
      const { ids, ...page } = await inTurn(search.owner, signal, () => repository.transfers(search, signal));
      const found = await readAll(ids, (id) => transfers.find(search.owner, id, signal));
      return { ...page, transfers: found };
    },
    async accounts(search, signal) {
      const { ids, ...page } = await inTurn(search.owner, signal, () => repository.accounts(search, signal));
      const abortable = () => signal && new AbortableSignal(signal);
      const found = await readAll(ids, (id) => accounts.find(search.owner, id, abortable()));
      return { ...page, accounts: found };
    },
  };
}

/** The reads share a query. What was given to another owner a moment ago is left out. */
async function readAll<T>(ids: readonly string[], read: (id: string) => Promise<T | null>): Promise<T[]> {
  return (await Promise.all(ids.map(read))).filter((item) => item !== null);
}
