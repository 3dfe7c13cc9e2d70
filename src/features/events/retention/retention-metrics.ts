import type { Registry } from 'prom-client';
import { registerStats } from '../../../instrumentation/register-stats.ts';
import type { RetentionStats } from './retention.ts';

/** Metrics of the retention of events. One host deletes events at a time, so the longest delay counts. */
export function registerRetentionMetrics(registry: Registry, read: () => RetentionStats): void {
  const one = (pick: (stats: RetentionStats) => number) => () => [{ labels: {}, value: pick(read()) }];
  const prefix = 'atlas_events';
  registerStats(
    registry,
    'counter',
    `${prefix}_expired_total`,
    'Events deleted after their retention',
    one((f) => f.forgotten),
  );
  registerStats(
    registry,
    'counter',
    `${prefix}_parked_expired_total`,
    'Parked events deleted after their retention without having been sent',
    one((f) => f.forgottenParked),
  );
  registerStats(
    registry,
    'gauge',
    `${prefix}_overdue_seconds`,
    'How long the oldest event is past its retention because a consumer has not read it',
    one((f) => f.overdueSeconds),
    'max',
  );
}
