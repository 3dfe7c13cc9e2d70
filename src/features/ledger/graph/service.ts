import type { Searches } from '../../searches.ts';
import type { AccountService } from '../accounts/service.ts';
import type { NeighborPage, NeighborSearch, Path, Search, WaySearch } from './domain.ts';
import type { GraphRepository } from './repository.ts';

const SEARCHES_MAX = 2;
const ADVICE = 'Use a smaller maxDepth, or a later time for since.';

/** Searches of the money-flow graph. All throw `AtlasError`: `account_not_found` if the owner has no such account. */
export interface GraphService {
  neighbors(search: NeighborSearch, signal: AbortSignal): Promise<NeighborPage>;
  /** Finds paths from an account of the owner to any other account. */
  paths(search: WaySearch, signal: AbortSignal): Promise<Search & { readonly paths: readonly Path[] }>;
  /** Finds the ways on which money came back to the account that it left. */
  cycles(
    search: Omit<WaySearch, 'to'>,
    signal: AbortSignal,
  ): Promise<Search & { readonly cycles: readonly Path[] }>;
}

export function createGraphService(
  repository: GraphRepository,
  accounts: Pick<AccountService, 'find'>,
  searches: Searches,
): GraphService {
  const search = searches.inTurn(SEARCHES_MAX, ADVICE);
  return {
    async neighbors(asked, signal) {
      const { owner, accountId } = asked;
      const found = await search(owner, signal, () => repository.neighbors(asked, signal));
      // Throws, unless it was opened just now.
      if (found === null) await accounts.find(owner, accountId);
      return found ?? { neighbors: [], next: null, truncated: false, transfersRead: 0 };
    },
    async paths(asked, signal) {
      const { owner, from } = asked;
      await accounts.find(owner, from);
      return search(owner, signal, () => repository.ways(asked, signal));
    },
    async cycles(asked, signal) {
      const { owner, from } = asked;
      await accounts.find(owner, from);
      const found = await search(owner, signal, () => repository.ways({ ...asked, to: from }, signal));
      const { paths: cycles, ...read } = found;
      return { ...read, cycles };
    },
  };
}
