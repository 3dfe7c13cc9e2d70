import type { Registry } from 'prom-client';
import type { ConsumerStats } from '../adapters/event-log/event-log.ts';
import { registerStats } from './metrics.ts';

/** What the relay of this process has done, and what waits. */
export interface RelayReading {
  readonly isLeading: boolean;
  readonly epoch: number;
  readonly sent: number;
  readonly batches: number;
  readonly parked: number;
  readonly failures: number;
  readonly backlog: { readonly rowsMax: number; readonly ageSeconds: number };
}

/** The way of events to the log. One worker of each host looks at the outbox, so the largest figure counts. */
export function registerRelayMetrics(registry: Registry, read: () => RelayReading): void {
  const one = (pick: (stats: RelayReading) => number) => () => [{ labels: {}, value: pick(read()) }];
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
    'Batches in which they were sent',
    one((f) => f.batches),
  );
  registerStats(
    registry,
    'counter',
    `${prefix}_failures_total`,
    'Times that sending had to be begun anew',
    one((f) => f.failures),
  );
  registerStats(
    registry,
    'counter',
    `${prefix}_parked_keys_total`,
    'Keys that stopped because an event was refused for what it is',
    one((f) => f.parked),
  );
  registerStats(
    registry,
    'gauge',
    `${prefix}_leading`,
    'Whether this host relays: 1 on one host',
    one((f) => Number(f.isLeading)),
  );
  registerStats(
    registry,
    'gauge',
    `${prefix}_backlog_rows`,
    'Rows that wait in the outbox, at most',
    one((f) => f.backlog.rowsMax),
    'max',
  );
  registerStats(
    registry,
    'gauge',
    `${prefix}_backlog_age_seconds`,
    'How long the oldest of them has waited',
    one((f) => f.backlog.ageSeconds),
    'max',
  );
}

/** What the consumers of this process do. */
export function registerConsumerMetrics(registry: Registry, read: () => readonly ConsumerStats[]): void {
  const each = (pick: (stats: ConsumerStats) => number) => () =>
    read().map((stats) => ({ labels: { consumer: stats.consumer }, value: pick(stats) }));
  const prefix = 'atlas_consumer';
  registerStats(
    registry,
    'counter',
    `${prefix}_events_total`,
    'Events that had their effect',
    each((f) => f.handled),
  );
  registerStats(
    registry,
    'counter',
    `${prefix}_repeated_total`,
    'Events that came again and had no second effect',
    each((f) => f.repeated),
  );
  registerStats(
    registry,
    'counter',
    `${prefix}_recovered_total`,
    'Events that the log had lost and PostgreSQL had not',
    each((f) => f.recovered),
  );
  registerStats(
    registry,
    'counter',
    `${prefix}_undecodable_total`,
    'Messages in the log that are no events of Atlas',
    each((f) => f.undecodable),
  );
  registerStats(
    registry,
    'counter',
    `${prefix}_failures_total`,
    'Times that a consumer had to begin anew',
    each((f) => f.failures),
  );
  registerStats(
    registry,
    'gauge',
    `${prefix}_lag`,
    'Entries of the log that a consumer has still to read',
    each((f) => f.lag),
  );
}
