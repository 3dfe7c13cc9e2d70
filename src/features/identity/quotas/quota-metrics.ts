import type { Registry } from 'prom-client';
import { type Aggregator, registerStats } from '../../../instrumentation/register-stats.ts';
import type { MeterStats } from './meters.ts';
import type { QuotaRefusals } from './service.ts';

/** Metrics of quotas. No key and no organization is a label: there may be thousands. */
export function registerQuotaMetrics(
  registry: Registry,
  refusals: QuotaRefusals,
  readStats: () => MeterStats,
): void {
  registerStats(
    registry,
    'counter',
    'atlas_quota_refusals_total',
    'Requests refused with quota_exceeded, by whose quota it was and what of it was used up',
    () =>
      Object.entries(refusals).flatMap(([subject, counts]) =>
        Object.entries(counts).map(([exceeded, value]) => ({ labels: { subject, exceeded }, value })),
      ),
  );
  const one = (
    type: 'counter' | 'gauge',
    name: string,
    help: string,
    read: (stats: MeterStats) => number,
    merge: Aggregator = 'sum',
  ) => registerStats(registry, type, name, help, () => [{ labels: {}, value: read(readStats()) }], merge);
  one('gauge', 'atlas_quota_tracked', 'Quotas of keys and organizations that workers know', (s) => s.tracked);
  one(
    'counter',
    'atlas_quota_share_requests_total',
    'Requests served on the share of a worker, which was cold or cut off from Redis',
    (s) => s.onShare,
  );
  one(
    'gauge',
    'atlas_quota_report_interval_seconds',
    'Interval at which workers report a quota in use to Redis; longer if there are too many',
    (s) => s.intervalMs / 1000,
    'max',
  );
  registerStats(
    registry,
    'counter',
    'atlas_quota_reports_total',
    'Commands to Redis for quotas, by result',
    () => {
      const { reports, reportsFailed } = readStats();
      return [
        { labels: { result: 'ok' }, value: reports },
        { labels: { result: 'failed' }, value: reportsFailed },
      ];
    },
  );
}
