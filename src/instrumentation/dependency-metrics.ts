import type { Registry } from 'prom-client';
import { CALL_OUTCOMES } from '../resilience/call-stats.ts';
import type { BreakerState } from '../resilience/circuit-breaker.ts';
import type { Dependency, DependencyStats } from '../resilience/dependency.ts';
import { histogramSamples, registerStats } from './register-stats.ts';

const STATE_VALUES: Readonly<Record<BreakerState, number>> = { closed: 0, 'half-open': 1, open: 2 };
const PREFIX = 'atlas_dependency';

/** Registers the metrics of calls to dependencies, their circuit breakers, and their bulkheads. */
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
    'Circuit breaker state: 0 closed, 1 half-open, 2 open; the worst of all workers',
    each(({ state }) => STATE_VALUES[state]),
    'max',
  );
  registerStats(registry, 'counter', `${PREFIX}_calls_total`, 'Call attempts by outcome', () =>
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
    'Retries',
    each(({ retries }) => retries),
  );
  registerStats(
    registry,
    'counter',
    `${PREFIX}_retry_budget_exhausted_total`,
    'Retries skipped because the retry budget was exhausted',
    each(({ retriesDenied }) => retriesDenied),
  );
  registerStats(
    registry,
    'counter',
    `${PREFIX}_abandoned_total`,
    'Calls that did not stop when they were aborted',
    each(({ abandoned }) => abandoned),
  );
  registerStats(
    registry,
    'gauge',
    'atlas_bulkhead_in_flight',
    'Calls in flight',
    each(({ inFlight }) => inFlight),
  );
  registerStats(
    registry,
    'gauge',
    'atlas_bulkhead_waiting',
    'Calls waiting for a slot in the bulkhead',
    each(({ waiting }) => waiting),
  );
  const duration = `${PREFIX}_call_duration_seconds`;
  registerStats(registry, 'histogram', duration, 'Duration of a call attempt, without waiting time', () =>
    dependencies.flatMap((dependency) => {
      const { name, buckets, sumMs } = dependency.stats();
      return histogramSamples(duration, { dependency: name }, buckets, sumMs);
    }),
  );
}
