import type { Registry } from 'prom-client';
import type { DeferredStats } from '../../../adapters/event-log/deferred-events.ts';
import { type Aggregator, histogramSamples, registerStats } from '../../../instrumentation/register-stats.ts';

/** Counters of the delivery sender since this process started, and its backlog. */
export interface SendingStats {
  /** Attempts by outcome: `delivered`, or the failure. */
  readonly attempts: ReadonlyMap<string, number>;
  /** Deliveries that failed their last attempt. */
  readonly givenUp: number;
  /** Webhooks that were disabled. */
  readonly disabled: number;
  /** Deliveries taken over from a process that died. */
  readonly freed: number;
  readonly inFlight: number;
  readonly sumMs: number;
  readonly buckets: Float64Array;
  /** Deliveries due but not started, and the age of the oldest, as last measured; 0 in a worker that does not send. */
  readonly dueCount: number;
  readonly dueAgeSeconds: number;
  /** Webhooks that Atlas disabled and that are still disabled. */
  readonly disabledWebhooks: number;
}

const PREFIX = 'atlas_webhook';

/** Metrics of webhook deliveries. Every host sees the same backlog, so backlog gauges are not summed. */
export function registerDeliveryMetrics(
  registry: Registry,
  read: () => SendingStats,
  readDeferred: () => DeferredStats,
): void {
  const single = (
    type: 'counter' | 'gauge',
    name: string,
    help: string,
    value: (stats: SendingStats) => number,
    aggregator: Aggregator = 'sum',
  ) =>
    registerStats(
      registry,
      type,
      `${PREFIX}_${name}`,
      help,
      () => [{ labels: {}, value: value(read()) }],
      aggregator,
    );

  registerStats(registry, 'counter', `${PREFIX}_attempts_total`, 'Delivery attempts, by outcome', () =>
    Array.from(read().attempts, ([outcome, value]) => ({ labels: { outcome }, value })),
  );
  const duration = `${PREFIX}_attempt_duration_seconds`;
  registerStats(
    registry,
    'histogram',
    duration,
    'Time until a target responded or the attempt timed out',
    () => {
      const { buckets, sumMs } = read();
      return histogramSamples(duration, {}, buckets, sumMs);
    },
  );
  single('counter', 'deliveries_given_up_total', 'Deliveries that failed permanently', (f) => f.givenUp);
  single('counter', 'disabled_total', 'Webhooks disabled because of failures', (f) => f.disabled);
  single('counter', 'deliveries_freed_total', 'Deliveries freed because their process died', (f) => f.freed);
  single('gauge', 'in_flight', 'Deliveries in progress', (f) => f.inFlight);
  single('gauge', 'due', 'Deliveries due but not started', (f) => f.dueCount, 'max');
  single('gauge', 'due_age_seconds', 'Age of the oldest due delivery', (f) => f.dueAgeSeconds, 'max');
  single('gauge', 'deferred_owners', 'Owners with deferred events', () => readDeferred().owners, 'max');
  single(
    'gauge',
    'deferred_age_seconds',
    'Time since the oldest deferred event was deferred',
    () => readDeferred().ageSeconds,
    'max',
  );
  single(
    'gauge',
    'disabled',
    'Webhooks currently disabled because of failures',
    (f) => f.disabledWebhooks,
    'max',
  );
}
