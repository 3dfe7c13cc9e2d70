import type { Registry } from 'prom-client';
import { registerStats } from './metrics.ts';

/** Counts of the event streams of a worker, as the feature keeps them. */
export interface StreamStats {
  readonly open: number;
  readonly events: number;
  readonly failures: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly ended: Readonly<Record<string, number>>;
}

const PREFIX = 'atlas_event_streams';

/** What the streams of `GET /v1/events/stream` do. */
export function registerStreamMetrics(registry: Registry, read: () => StreamStats): void {
  const byReason = (counts: Readonly<Record<string, number>>) =>
    Object.entries(counts).map(([reason, value]) => ({ labels: { reason }, value }));
  registerStats(registry, 'gauge', `${PREFIX}_open`, 'Event streams that are open', () => [
    { labels: {}, value: read().open },
  ]);
  registerStats(registry, 'counter', `${PREFIX}_events_total`, 'Events that streams have sent', () => [
    { labels: {}, value: read().events },
  ]);
  registerStats(
    registry,
    'counter',
    `${PREFIX}_failures_total`,
    'Looks of the streams at PostgreSQL that failed; each is repeated',
    () => [{ labels: {}, value: read().failures }],
  );
  registerStats(registry, 'counter', `${PREFIX}_refused_total`, 'Streams refused, by what was full', () =>
    byReason(read().refused),
  );
  registerStats(registry, 'counter', `${PREFIX}_ended_total`, 'Streams that ended, by why', () =>
    byReason(read().ended),
  );
}
