import { expect, test } from 'bun:test';
import { Registry } from 'prom-client';
import { registerDependencyMetrics } from '../../../src/instrumentation/dependency-metrics.ts';
import { fails, testDependency } from '../../support/dependency.ts';

test('each dependency has its breaker and the outcomes of its calls; workers merge to the worst breaker', async () => {
  const registry = new Registry();
  const { dependency: sound } = testDependency({ name: 'sound' });
  const { dependency: gone } = testDependency({ name: 'gone', failureThreshold: 1 });
  registerDependencyMetrics(registry, [sound, gone]);
  await sound.call('get', async () => 1);
  for (let call = 0; call < 2; call++) await gone.call('get', fails).catch(() => {});

  const lines = (await registry.metrics()).split('\n');
  for (const line of [
    'atlas_circuit_breaker_state{dependency="sound"} 0',
    'atlas_circuit_breaker_state{dependency="gone"} 2',
    'atlas_dependency_calls_total{dependency="sound",outcome="ok"} 1',
    'atlas_dependency_calls_total{dependency="sound",outcome="failure"} 0',
    'atlas_dependency_calls_total{dependency="gone",outcome="failure"} 1',
    'atlas_dependency_calls_total{dependency="gone",outcome="refused_open"} 1',
    'atlas_bulkhead_in_flight{dependency="gone"} 0',
    // Refused calls took no time, so they are not in the histogram.
    'atlas_dependency_call_duration_seconds_count{dependency="gone"} 1',
  ])
    expect(lines).toContain(line);
  const states = (await registry.getMetricsAsJSON()).find(
    ({ name }) => name === 'atlas_circuit_breaker_state',
  );
  expect(states).toMatchObject({ aggregator: 'max' });
  gone.close();
});
