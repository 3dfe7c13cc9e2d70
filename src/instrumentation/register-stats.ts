import type { Gauge, Registry } from 'prom-client';
import { BUCKETS_MS } from '../utils/buckets.ts';

/** One sample of a metric. `metricName` names a series of a histogram. */
export interface Sample {
  readonly labels: Record<string, string | number>;
  readonly value: number;
  readonly metricName?: string;
}

/** How the samples of several workers are merged. `sum` is for what adds up, such as requests; a cap does not. */
export type Aggregator = 'sum' | 'average' | 'min' | 'max' | 'first';

/**
 * Registers a metric whose samples are read at scrape time.
 *
 * @example
 * registerStats(registry, 'gauge', 'atlas_files_open', 'Open files', () => [{ labels: {}, value: open }]);
 */
export function registerStats(
  registry: Registry,
  type: 'counter' | 'gauge' | 'histogram',
  name: string,
  help: string,
  read: () => Sample[],
  aggregator: Aggregator = 'sum',
): void {
  // prom-client needs only the name and `get()` of a metric, so stats stored elsewhere need no second copy.
  const metric = {
    name,
    help,
    type,
    aggregator,
    get: async () => ({ name, help, type, aggregator, values: read() }),
  };
  registry.registerMetric(metric as unknown as Gauge);
}

/** Returns counts per bucket as the cumulative samples of Prometheus; none for a histogram without observations. */
export function histogramSamples(
  name: string,
  labels: Record<string, string>,
  buckets: ArrayLike<number>,
  sumMs: number,
): Sample[] {
  let count = 0;
  const cumulative = Array.from(buckets, (inBucket, i) => {
    count += inBucket;
    const le = i < BUCKETS_MS.length ? BUCKETS_MS[i]! / 1000 : '+Inf';
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: count };
  });
  if (count === 0) return [];
  return [
    ...cumulative,
    { metricName: `${name}_sum`, labels, value: sumMs / 1000 },
    { metricName: `${name}_count`, labels, value: count },
  ];
}
