import type { Registry } from 'prom-client';
import type { ConsumerStats } from '../../adapters/event-log/event-log.ts';
import { registerStats } from '../../instrumentation/register-stats.ts';

/** Metrics of the event consumers of this process. */
export function registerConsumerMetrics(registry: Registry, read: () => readonly ConsumerStats[]): void {
  const each = (pick: (stats: ConsumerStats) => number) => () =>
    read().map((stats) => ({ labels: { consumer: stats.consumer }, value: pick(stats) }));
  const prefix = 'atlas_consumer';
  registerStats(
    registry,
    'counter',
    `${prefix}_events_total`,
    'Events handled',
    each((f) => f.handled),
  );
  registerStats(
    registry,
    'counter',
    `${prefix}_repeated_total`,
    'Redelivered events, deduplicated',
    each((f) => f.repeated),
  );
  registerStats(
    registry,
    'counter',
    `${prefix}_recovered_total`,
    'Events missing from the log and recovered from PostgreSQL',
    each((f) => f.recovered),
  );
  registerStats(
    registry,
    'counter',
    `${prefix}_undecodable_total`,
    'Messages in the log that are not valid events',
    each((f) => f.undecodable),
  );
  registerStats(
    registry,
    'counter',
    `${prefix}_failures_total`,
    'Consumer failures, each followed by a restart',
    each((f) => f.failures),
  );
  registerStats(
    registry,
    'gauge',
    `${prefix}_lag`,
    'Log entries not yet read by the consumer',
    each((f) => f.lag),
  );
}
