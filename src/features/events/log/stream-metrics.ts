import type { Registry } from 'prom-client';
import { registerStats } from '../../../instrumentation/register-stats.ts';
import type { StreamStats } from './streams.ts';

const PREFIX = 'atlas_event_streams';

/** Metrics of `GET /v1/events/stream`. */
export function registerStreamMetrics(registry: Registry, read: () => StreamStats): void {
  const byReason = (counts: Readonly<Record<string, number>>) =>
    Object.entries(counts).map(([reason, value]) => ({ labels: { reason }, value }));
  registerStats(registry, 'gauge', `${PREFIX}_open`, 'Open event streams', () => [
    { labels: {}, value: read().open },
  ]);
  registerStats(registry, 'counter', `${PREFIX}_events_total`, 'Events sent to streams', () => [
    { labels: {}, value: read().events },
  ]);
  registerStats(
    registry,
    'counter',
    `${PREFIX}_failures_total`,
    'Failed reads from PostgreSQL for streams; each is retried',
    () => [{ labels: {}, value: read().failures }],
  );
  registerStats(registry, 'counter', `${PREFIX}_refused_total`, 'Streams refused, by the limit reached', () =>
    byReason(read().refused),
  );
  registerStats(registry, 'counter', `${PREFIX}_ended_total`, 'Streams ended, by reason', () =>
    byReason(read().ended),
  );
}
