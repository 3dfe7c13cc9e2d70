import type { Registry } from 'prom-client';
import type { AdmissionStats } from '../shedding/admission-stats.ts';
import type { Decision } from '../shedding/decision.ts';
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
  registerDecisions(registry, admission);
  registerResources(registry, admission);
  registerPermits(registry, permits);
  registerRenewals(registry, permits);
}

function registerDecisions(registry: Registry, read: () => AdmissionStats): void {
  const gauge = gaugesOf(registry);
  registerStats(registry, 'counter', `${PREFIX}_decisions_total`, 'Decisions by tier and reason', () =>
    read().decisions.map(({ tier, decision, count }) => ({ labels: labelsOf(tier, decision), value: count })),
  );
  gauge('in_flight', 'Requests holding a permit', () => read().inFlight);
  gauge('cutoff_level', 'Priority level below which requests are refused', () => read().cutoffLevel, 'max');
  gauge('loop_delay_seconds', 'Event loop delay', () => read().loopDelayMs / 1000, 'max');
}

function registerResources(registry: Registry, read: () => AdmissionStats): void {
  type Resource = AdmissionStats['resources'][number];
  const each = (name: string, help: string, pick: (resource: Resource) => number | null) =>
    registerStats(registry, 'gauge', `${PREFIX}_resource_${name}`, help, () =>
      read().resources.flatMap((resource) => {
        const value = pick(resource);
        return value === null ? [] : { labels: { resource: resource.name }, value };
      }),
    );
  each('limit', 'Maximum requests in flight at a resource; absent while unlimited', ({ limit }) =>
    Number.isFinite(limit) ? limit : null,
  );
  each('in_flight', 'Requests in flight at a resource', ({ inFlight }) => inFlight);
  each('engaged', 'Workers that refuse requests because a resource is busy', ({ isEngaged }) =>
    Number(isEngaged),
  );
}

function registerPermits(registry: Registry, read: () => PermitStats): void {
  const gauge = gaugesOf(registry);
  gauge('permits_limit', 'Permits that the workers may use now', () => read().limit);
  gauge('permits_cap', 'Permits of the whole cluster', () => read().cap, 'max');
  gauge('permits_workers', 'Workers that share the cap, on all hosts', () => read().workers, 'max');
  registerStats(registry, 'gauge', `${PREFIX}_mode`, 'Workers by the source of their limit', () =>
    MODES.map((mode) => ({ labels: { mode }, value: read().mode === mode ? 1 : 0 })),
  );
  // A worker without Redis knows only its own stats, not those of the cluster.
  const ofCluster = (name: string, help: string, pick: (stats: PermitStats) => number) => {
    const values = () => (read().mode === 'static' ? [] : one(pick(read())));
    registerStats(registry, 'gauge', `${PREFIX}_cluster_${name}`, help, values, 'max');
  };
  ofCluster('held', 'Permits held by all hosts as of the last renewal', (stats) => stats.clusterHeld);
  ofCluster(
    'in_flight',
    'Permits in use on all hosts as of the last renewal',
    (stats) => stats.clusterInFlight,
  );
}

function registerRenewals(registry: Registry, read: () => PermitStats): void {
  const counter = (name: string, help: string, pick: (stats: PermitStats) => number) =>
    registerStats(registry, 'counter', `${PREFIX}_${name}`, help, () => one(pick(read())));
  counter('renewals_total', 'Lease renewals that succeeded', ({ renewals }) => renewals);
  counter(
    'renewal_failures_total',
    'Lease renewals that failed or were too late',
    ({ renewalFailures }) => renewalFailures,
  );
  counter(
    'renewal_seconds_total',
    'Total time of successful lease renewals',
    ({ renewalMsSum }) => renewalMsSum / 1000,
  );
  counter('redis_commands_total', 'Commands sent to Redis for permits', ({ commands }) => commands);
}

function gaugesOf(registry: Registry) {
  return (name: string, help: string, read: () => number, aggregator: Aggregator = 'sum') =>
    registerStats(registry, 'gauge', `${PREFIX}_${name}`, help, () => one(read()), aggregator);
}

function labelsOf(tier: string, decision: Decision) {
  return decision === 'admitted'
    ? { tier, decision, reason: '' }
    : { tier, decision: 'refused', reason: decision };
}

function one(value: number) {
  return [{ labels: {}, value }];
}
