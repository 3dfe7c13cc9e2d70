import type { Registry } from 'prom-client';
import { CALL_OUTCOMES } from '../resilience/call-stats.ts';
import type { BreakerState } from '../resilience/circuit-breaker.ts';
import type { Dependency, DependencyStats } from '../resilience/dependency.ts';
import { histogramSamples, registerStats } from './metrics.ts';

const STATE_VALUES: Readonly<Record<BreakerState, number>> = { closed: 0, 'half-open': 1, open: 2 };
const PREFIX = 'atlas_dependency';

/** What becomes of calls to everything outside, and how its circuit breakers and bulkheads stand. */
export function registerDependencyMetrics(registry: Registry, dependencies: readonly Dependency[]): void {
  const each = (pick: (stats: DependencyStats) => number) => () =>
    dependencies.map((dependency) => ({
      labels: { dependency: dependency.name },
      value: pick(dependency.stats()),
    }));
  registerStats(
    registry,
    'gauge',
    'atlas_circuit_breaker_state',
    '0 closed, 1 half-open, 2 open; of several workers the worst',
    each(({ state }) => STATE_VALUES[state]),
    'max',
  );
  registerStats(registry, 'counter', `${PREFIX}_calls_total`, 'Attempts to call it by how they ended', () =>
    dependencies.flatMap((dependency) => {
      const { name, outcomes } = dependency.stats();
      return CALL_OUTCOMES.map((outcome) => ({
        labels: { dependency: name, outcome },
        value: outcomes[outcome],
      }));
    }),
  );
  registerStats(
    registry,
    'counter',
    `${PREFIX}_retries_total`,
    'Attempts that were not the first of their call',
    each(({ retries }) => retries),
  );
  registerStats(
    registry,
    'counter',
    `${PREFIX}_retry_budget_exhausted_total`,
    'Retries that were not made because too many had been',
    each(({ retriesDenied }) => retriesDenied),
  );
  registerStats(
    registry,
    'counter',
    `${PREFIX}_abandoned_total`,
    'Calls that did not end when they were told to',
    each(({ abandoned }) => abandoned),
  );
  registerStats(
    registry,
    'gauge',
    'atlas_bulkhead_in_flight',
    'Calls that are under way',
    each(({ inFlight }) => inFlight),
  );
  registerStats(
    registry,
    'gauge',
    'atlas_bulkhead_waiting',
    'Calls that wait for others to end',
    each(({ waiting }) => waiting),
  );
  const duration = `${PREFIX}_call_duration_seconds`;
  registerStats(registry, 'histogram', duration, 'Time of an attempt that was made, waits excluded', () =>
    dependencies.flatMap((dependency) => {
      const { name, buckets, sumMs } = dependency.stats();
      return histogramSamples(duration, { dependency: name }, buckets, sumMs);
    }),
  );
}
