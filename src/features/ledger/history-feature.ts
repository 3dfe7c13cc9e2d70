import type { Database } from '../../adapters/postgres/database.ts';
import type { Feature } from '../feature.ts';
import type { AccountService } from './accounts/service.ts';
import { createBackfill } from './history/backfill.ts';
import { registerHistoryMetrics } from './history/history-metrics.ts';
import { createHistoryRepository } from './history/repository.ts';
import { mountHistory } from './history/router.ts';
import { createHistoryService } from './history/service.ts';
import { StatementStreams } from './history/statement-stream.ts';

const BACKFILL_MS = 10_000;

/** Builds the history of accounts: entries, past balances, and statements. */
export function createHistory(
  database: Database,
  accounts: AccountService,
  isKeyUsable: (keyId: string, signal: AbortSignal) => Promise<boolean>,
) {
  const repository = createHistoryRepository(database);
  const service = createHistoryService(repository);
  const streams = new StatementStreams({ read: service.read, isKeyUsable });
  const backfill = createBackfill(repository);
  return {
    service,
    mount: (routes) => mountHistory(routes, { history: service, streams, accounts }),
    metrics: (registry) => registerHistoryMetrics(registry, () => streams.stats(), backfill.stats),
    jobs: [{ name: 'write balances of earlier entries', by: 'one', everyMs: BACKFILL_MS, run: backfill.run }],
  } satisfies Feature & Record<string, unknown>;
}
