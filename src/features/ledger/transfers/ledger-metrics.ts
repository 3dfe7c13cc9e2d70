import type { Registry } from 'prom-client';
import { registerStats } from '../../../instrumentation/register-stats.ts';
import type { GroupCommitStats } from './group-commit.ts';
import type { HostCommitterStats } from './host-committer.ts';

/** What the metrics show. */
export type LedgerStats = GroupCommitStats & HostCommitterStats;

/** Registers the metrics of posting. */
export function registerLedgerMetrics(registry: Registry, read: () => LedgerStats): void {
  const one = (pick: (stats: LedgerStats) => number) => () => [{ labels: {}, value: pick(read()) }];
  const prefix = 'atlas_ledger';
  registerStats(
    registry,
    'counter',
    `${prefix}_batches_total`,
    'Batches of transfers sent to PostgreSQL',
    one((stats) => stats.batches),
  );
  registerStats(
    registry,
    'counter',
    `${prefix}_items_total`,
    'Transfers in those batches, including refused ones',
    one((stats) => stats.items),
  );
  registerStats(
    registry,
    'gauge',
    `${prefix}_waiting_items`,
    'Transfers waiting for a batch',
    one((stats) => stats.waitingItems),
  );
  registerStats(
    registry,
    'counter',
    `${prefix}_batch_retries_total`,
    'Batches retried after a transient failure',
    one((stats) => stats.retries),
  );
  registerStats(
    registry,
    'counter',
    `${prefix}_queue_refusals_total`,
    'Requests refused because the queue was full',
    one((stats) => stats.refused),
  );
  registerStats(
    registry,
    'counter',
    `${prefix}_queue_displaced_total`,
    'Requests refused after they had waited, because others needed the room of their owner in a full queue',
    one((stats) => stats.displaced),
  );
  registerStats(
    registry,
    'counter',
    `${prefix}_forwarded_total`,
    'Requests sent to the worker that posts for all workers of the host',
    one((stats) => stats.forwarded),
  );
  registerStats(
    registry,
    'counter',
    `${prefix}_forward_fallbacks_total`,
    'Those that were posted directly after all, because that worker was lost',
    one((stats) => stats.fallbacks),
  );
}
