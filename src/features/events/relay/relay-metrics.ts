import type { Registry } from 'prom-client';
import { registerStats } from '../../../instrumentation/register-stats.ts';
import type { RelayStats } from './relay.ts';

/** Metrics of the relay. One worker of each host reads the outbox, so the largest backlog counts. */
export function registerRelayMetrics(registry: Registry, read: () => RelayStats): void {
  const one = (pick: (stats: RelayStats) => number) => () => [{ labels: {}, value: pick(read()) }];
  const prefix = 'atlas_relay';
  registerStats(
    registry,
    'counter',
    `${prefix}_events_total`,
    'Events sent to the log',
    one((f) => f.sent),
  );
  registerStats(
    registry,
    'counter',
    `${prefix}_batches_total`,
    'Batches of events sent to the log',
    one((f) => f.batches),
  );
  registerStats(
    registry,
    'counter',
    `${prefix}_failures_total`,
    'Relay failures, each followed by a restart',
    one((f) => f.failures),
  );
  registerStats(
    registry,
    'counter',
    `${prefix}_parked_keys_total`,
    'Keys parked because one of their events was rejected',
    one((f) => f.parked),
  );
  registerStats(
    registry,
    'gauge',
    `${prefix}_leading`,
    '1 if this host runs the active relay, else 0',
    one((f) => Number(f.isLeading)),
  );
  registerStats(
    registry,
    'gauge',
    `${prefix}_backlog_rows`,
    'Rows waiting in the outbox, an upper bound',
    one((f) => f.backlog.rowsMax),
    'max',
  );
  registerStats(
    registry,
    'gauge',
    `${prefix}_backlog_age_seconds`,
    'Age of the oldest row in the outbox',
    one((f) => f.backlog.ageSeconds),
    'max',
  );
}
