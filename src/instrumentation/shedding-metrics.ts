import type { Registry } from 'prom-client';
import type { AdmissionStats, Decision } from '../shedding/admission.ts';
import type { PermitMode, PermitStats } from '../shedding/permit-source.ts';
import { type Aggregator, registerStats } from './metrics.ts';

const MODES: readonly PermitMode[] = ['static', 'joining', 'learning', 'fresh', 'stale', 'floor'];
const PREFIX = 'atlas_shedding';

/** What load shedding decides, and what it decides by. Runbook 002 tells what each metric means. */
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
  gauge('in_flight', 'Requests that hold a permit', () => admission().inFlight);
  gauge('permits_limit', 'Permits that the workers may use now', () => permits().limit);
  gauge('permits_cap', 'Permits of the whole cluster', () => permits().cap, 'max');
  gauge('permits_workers', 'Workers that share the cap, on all hosts', () => permits().workers, 'max');
  // A worker without Redis would pass its own stats off as the cluster's.
  const ofCluster = (name: string, help: string, read: () => number) =>
    registerStats(
      registry,
      'gauge',
      `${PREFIX}_cluster_${name}`,
      help,
      () => (permits().mode === 'static' ? [] : one(read())),
      'max',
    );
  ofCluster('held', 'Permits that all hosts hold, as of the last beat', () => permits().clusterHeld);
  ofCluster('in_flight', 'Permits that all hosts use, as of the last beat', () => permits().clusterInFlight);
  gauge('cutoff_level', 'Level below which requests are refused', () => admission().cutoffLevel, 'max');
  gauge('loop_delay_seconds', 'How late the event loop is', () => admission().loopDelayMs / 1000, 'max');
  registerStats(registry, 'gauge', `${PREFIX}_mode`, 'Workers by where their limit comes from', () =>
    MODES.map((mode) => ({ labels: { mode }, value: permits().mode === mode ? 1 : 0 })),
  );
  registerStats(
    registry,
    'gauge',
    `${PREFIX}_resource_limit`,
    'In flight at a resource at most; none while nothing limits it',
    () =>
      admission()
        .resources.filter(({ limit }) => Number.isFinite(limit))
        .map(({ name, limit }) => ({ labels: { resource: name }, value: limit })),
  );
  registerStats(registry, 'gauge', `${PREFIX}_resource_in_flight`, 'In flight at a resource', () =>
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
  counter('beats_total', 'Beats to Redis that were answered', () => permits().renewals);
  counter('beat_failures_total', 'Beats that failed or came too late', () => permits().renewalFailures);
  counter('beat_seconds_total', 'Time of all answered beats', () => permits().renewalMsSum / 1000);
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
