import type { Database } from '../../adapters/postgres/database.ts';
import type { Feature } from '../feature.ts';
import type { Searches } from '../searches.ts';
import type { AccountRepository } from './accounts/repository.ts';
import { Indexing } from './search/indexing.ts';
import { createSearchRepository } from './search/repository.ts';
import { mountSearch } from './search/router.ts';
import { registerSearchMetrics } from './search/search-metrics.ts';
import { createSearchService } from './search/service.ts';
import type { TransferRepository } from './transfers/repository.ts';

/** Builds the part of the ledger that searches accounts and transfers. */
export function createSearch(
  database: Database,
  accounts: Pick<AccountRepository, 'find'>,
  transfers: Pick<TransferRepository, 'find'>,
  searches: Searches,
) {
  const repository = createSearchRepository(database);
  const service = createSearchService(repository, accounts, transfers, searches);
  const indexing = new Indexing(repository.index);
  return {
    service,
    indexing,
    mount: (routes) => mountSearch(routes, service),
    metrics: (registry) => registerSearchMetrics(registry, () => indexing.stats()),
    loops: [indexing.loop],
  } satisfies Feature & Record<string, unknown>;
}
