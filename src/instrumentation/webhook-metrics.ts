import type { Registry } from 'prom-client';
import { type Aggregator, histogramSamples, registerStats } from './metrics.ts';

/** How the sending of webhooks goes, counted since the start of this process. */
export interface SendingStats {
  /** Attempts by how they ended: `delivered`, or why they failed. */
  readonly attempts: ReadonlyMap<string, number>;
  /** Deliveries that were given up after their last attempt. */
  readonly givenUp: number;
  /** Webhooks that were disabled. */
  readonly disabled: number;
  readonly inFlight: number;
  readonly sumMs: number;
  readonly buckets: Float64Array;
  /** Due and not begun, and how late the oldest one is, as last looked; zeros in a worker that does not send. */
  readonly dueCount: number;
  readonly dueAgeSeconds: number;
  /** Webhooks that are disabled now and that Atlas has disabled. */
  readonly disabledWebhooks: number;
}

const PREFIX = 'atlas_webhook';

/** What is sent to webhooks, and what waits. Every host sees the same backlog, so those stats are not added up. */
export function registerWebhookMetrics(registry: Registry, read: () => SendingStats): void {
  const figure = (
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

  registerStats(
    registry,
    'counter',
    `${PREFIX}_attempts_total`,
    'Attempts to deliver, by how they ended',
    () => Array.from(read().attempts, ([outcome, value]) => ({ labels: { outcome }, value })),
  );
  const duration = `${PREFIX}_attempt_duration_seconds`;
  registerStats(registry, 'histogram', duration, 'Time until a target answered or was given up', () => {
    const { buckets, sumMs } = read();
    return histogramSamples(duration, {}, buckets, sumMs);
  });
  figure('counter', 'deliveries_given_up_total', 'Deliveries that failed for good', (f) => f.givenUp);
  figure('counter', 'disabled_total', 'Webhooks that were disabled for failing', (f) => f.disabled);
  figure('gauge', 'in_flight', 'Deliveries that are being sent', (f) => f.inFlight);
  figure('gauge', 'due', 'Deliveries that are due and not begun', (f) => f.dueCount, 'max');
  figure('gauge', 'due_age_seconds', 'How late the oldest due delivery is', (f) => f.dueAgeSeconds, 'max');
  figure('gauge', 'disabled', 'Webhooks that are disabled for failing', (f) => f.disabledWebhooks, 'max');
}
