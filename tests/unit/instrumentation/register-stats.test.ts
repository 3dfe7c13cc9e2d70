import { expect, test } from 'bun:test';
import { Registry } from 'prom-client';
import { histogramSamples, registerStats } from '../../../src/instrumentation/register-stats.ts';
import { BUCKETS_MS } from '../../../src/utils/buckets.ts';

test('a metric has its type, help, and the values at scrape time', async () => {
  const registry = new Registry();
  let value = 1;
  registerStats(registry, 'gauge', 'atlas_open', 'Open things', () => [{ labels: { kind: 'a' }, value }]);
  value = 2;
  expect((await registry.metrics()).trim().split('\n')).toEqual([
    '# HELP atlas_open Open things',
    '# TYPE atlas_open gauge',
    'atlas_open{kind="a"} 2',
  ]);
});

test('a metric names its aggregator, and sums by default', async () => {
  const registry = new Registry();
  registerStats(registry, 'counter', 'atlas_a_total', 'A', () => []);
  registerStats(registry, 'gauge', 'atlas_b', 'B', () => [], 'max');
  const metrics = await registry.getMetricsAsJSON();
  expect(metrics.map(({ aggregator }) => aggregator as string)).toEqual(['sum', 'max']);
});

test('histogram samples are cumulative, in seconds, and end with +Inf, sum, and count', () => {
  const buckets = BUCKETS_MS.map(() => 0).concat(3);
  buckets[0] = 2;
  const samples = histogramSamples('atlas_wait', { kind: 'a' }, buckets, 1500);
  expect(samples).toHaveLength(BUCKETS_MS.length + 3);
  expect(samples[0]).toEqual({
    metricName: 'atlas_wait_bucket',
    labels: { kind: 'a', le: BUCKETS_MS[0]! / 1000 },
    value: 2,
  });
  expect(samples.slice(-3)).toEqual([
    { metricName: 'atlas_wait_bucket', labels: { kind: 'a', le: '+Inf' }, value: 5 },
    { metricName: 'atlas_wait_sum', labels: { kind: 'a' }, value: 1.5 },
    { metricName: 'atlas_wait_count', labels: { kind: 'a' }, value: 5 },
  ]);
});

test('a histogram without observations has no samples', () => {
  expect(histogramSamples('atlas_wait', {}, new Float64Array(BUCKETS_MS.length + 1), 0)).toEqual([]);
});
