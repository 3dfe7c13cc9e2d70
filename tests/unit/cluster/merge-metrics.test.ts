import { expect, test } from 'bun:test';
import { type MetricSnapshot, mergeMetrics } from '../../../src/cluster/merge-metrics.ts';

const metric = (aggregator: string, values: MetricSnapshot['values'], type = 'gauge'): MetricSnapshot => ({
  name: 'm',
  help: 'h',
  type,
  aggregator,
  values,
});
const one = (value: number) => [{ labels: {}, value }];

test.each([
  ['sum', 9],
  ['average', 3],
  ['min', 1],
  ['max', 6],
  ['first', 2],
])('samples of several workers are merged by %s', (aggregator, expected) => {
  const parts = [2, 1, 6].map((value) => [metric(aggregator, one(value))]);
  expect(mergeMetrics(parts)).toEqual([metric(aggregator, one(expected))]);
});

test('a metric with aggregator omit is dropped', () => {
  expect(mergeMetrics([[metric('omit', one(1))], [metric('omit', one(2))]])).toEqual([]);
});

test('samples with different labels or metric names are kept separate', () => {
  const bucket = (le: string, value: number) => ({ metricName: 'm_bucket', labels: { le }, value });
  const total = (value: number) => ({ metricName: 'm_count', labels: {}, value });
  const parts = [
    [metric('sum', [bucket('1', 1), bucket('+Inf', 2), total(2)], 'histogram')],
    [metric('sum', [bucket('1', 10), bucket('+Inf', 20), total(20)], 'histogram')],
  ];
  const [merged] = mergeMetrics(parts);
  expect(merged!.values).toEqual([bucket('1', 11), bucket('+Inf', 22), total(22)]);
});

test('a metric of a single worker is kept', () => {
  const other = { ...metric('sum', one(5)), name: 'other' };
  expect(mergeMetrics([[metric('sum', one(1))], [other]])).toEqual([metric('sum', one(1)), other]);
});
