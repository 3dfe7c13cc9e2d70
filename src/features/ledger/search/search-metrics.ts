import type { Registry } from 'prom-client';
import { registerStats } from '../../../instrumentation/register-stats.ts';
import type { IndexingStats } from './indexing.ts';

/** Registers the metrics of the index of the search. One worker of each host keeps it, so the largest lag counts. */
export function registerSearchMetrics(registry: Registry, read: () => IndexingStats): void {
  registerStats(
    registry,
    'counter',
    'atlas_ledger_search_indexed_total',
    'Transfers that were added to the index of the search, some again',
    () => [{ labels: {}, value: read().indexed }],
  );
  registerStats(
    registry,
    'gauge',
    'atlas_ledger_search_lag_seconds',
    'Age of the oldest event in the log that is not in the index of the search',
    () => [{ labels: {}, value: read().lagSeconds }],
    'max',
  );
}
