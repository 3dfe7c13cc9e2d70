import type { Registry } from 'prom-client';
import type { AdmissionStats, Decision } from '../shedding/admission.ts';
import type { PermitMode, PermitStats } from '../shedding/permit-source.ts';
import { type Aggregator, registerStats } from './register-stats.ts';

const MODES: readonly PermitMode[] = ['static', 'joining', 'learning', 'fresh', 'stale', 'floor'];
const PREFIX = 'atlas_shedding';

/** Registers the decisions of load shedding and their inputs. Runbook 002 explains each metric. */
export function registerSheddingMetrics(
  registry: Registry,
  admission: () => AdmissionStats,
  permits: () => PermitStats,
): void {
  const gauge = (name: string, help: string, read: () => number, aggregator: Aggregator = 'sum') =>
    registerStats(registry, 'gauge', `${PREFIX}_${name}`, help, () => one(read()), aggregator);
  const counter = (name: string, help: string, read: () => number) =>
    registerStats(registry, 'counter', `${PREFIX}_${name}`, help, () => one(read()));

  registerStats(registry, 'counter', `${PREFIX}_decisions_total`, 'Decisions by tier and reason', () =>
    admission().decisions.map(({ tier, decision, count }) => ({
      labels: labelsOf(tier, decision),
      value: count,
    })),
  );
  gauge('in_flight', 'Requests holding a permit', () => admission().inFlight);
  gauge('permits_limit', 'Permits that the workers may use at present', () => permits().limit);
  gauge('permits_cap', 'Permits of the whole cluster', () => permits().cap, 'max');
  gauge('permits_workers', 'Workers that share the cap, on all hosts', () => permits().workers, 'max');
  // A worker without Redis knows only its own stats, not those of the cluster.
  const clusterGauge = (name: string, help: string, read: () => number) =>
    registerStats(
      registry,
      'gauge',
      `${PREFIX}_cluster_${name}`,
      help,
      () => (permits().mode === 'static' ? [] : one(read())),
      'max',
    );
  clusterGauge('held', 'Permits held by all hosts as of the last renewal', () => permits().clusterHeld);
  clusterGauge(
    'in_flight',
    'Permits in use on all hosts as of the last renewal',
    () => permits().clusterInFlight,
  );
  gauge(
    'cutoff_level',
    'Priority level below which requests are refused',
    () => admission().cutoffLevel,
    'max',
  );
  gauge('loop_delay_seconds', 'Event loop delay', () => admission().loopDelayMs / 1000, 'max');
  registerStats(registry, 'gauge', `${PREFIX}_mode`, 'Workers by the source of their limit', () =>
    MODES.map((mode) => ({ labels: { mode }, value: permits().mode === mode ? 1 : 0 })),
  );
  registerStats(
    registry,
    'gauge',
    `${PREFIX}_resource_limit`,
    'Maximum requests in flight at a resource; absent while unlimited',
    () =>
      admission()
        .resources.filter(({ limit }) => Number.isFinite(limit))
        .map(({ name, limit }) => ({ labels: { resource: name }, value: limit })),
  );
  registerStats(registry, 'gauge', `${PREFIX}_resource_in_flight`, 'Requests in flight at a resource', () =>
    admission().resources.map(({ name, inFlight }) => ({ labels: { resource: name }, value: inFlight })),
  );
  registerStats(
    registry,
    'gauge',
    `${PREFIX}_resource_engaged`,
    'Workers that refuse requests because a resource is busy',
    () =>
      admission().resources.map(({ name, isEngaged }) => ({
        labels: { resource: name },
        value: isEngaged ? 1 : 0,
      })),
  );
  counter('beats_total', 'Lease renewals that succeeded', () => permits().renewals);
  counter(
    'beat_failures_total',
    'Lease renewals that failed or were too late',
    () => permits().renewalFailures,
  );
  counter(
    'beat_seconds_total',
    'Total time of successful lease renewals',
    () => permits().renewalMsSum / 1000,
  );
  counter('redis_commands_total', 'Commands sent to Redis for permits', () => permits().commands);
}

function labelsOf(tier: string, decision: Decision) {
  return decision === 'admitted'
    ? { tier, decision, reason: '' }
    : { tier, decision: 'refused', reason: decision };
}

function one(value: number) {
  return [{ labels: {}, value }];
}
