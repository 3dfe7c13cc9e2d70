import { collectDefaultMetrics, type Gauge, Registry } from 'prom-client';
import type { QueryStats } from '../adapters/postgres/query.ts';
import type { RedStats } from '../envelope/red-stats.ts';
import { BUCKETS_MS } from '../utils/buckets.ts';

/** One sample of a metric. `metricName` is for the parts of a histogram. */
export interface Sample {
  readonly labels: Record<string, string | number>;
  readonly value: number;
  readonly metricName?: string;
}

// Of the default metrics, those of V8's heap spaces are left out: they mean nothing on JavaScriptCore, and computing
// them walks the whole heap and holds up the loop (45 ms for a million objects).
const PREFIX = 'atlas_';

/** Creates the registry that `/metrics` prints. Stats are read when they are asked for, never pushed. */
export function createMetrics(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: PREFIX });
  for (const kind of ['total', 'used', 'available'])
    registry.removeSingleMetric(`${PREFIX}nodejs_heap_space_size_${kind}_bytes`);
  return registry;
}

/** How samples of several workers become one. Sums are for what adds up, such as requests; a cap does not. */
export type Aggregator = 'sum' | 'average' | 'min' | 'max' | 'first';

/** Registers a counter or gauge whose samples are computed at scrape time. */
export function registerStats(
  registry: Registry,
  type: 'counter' | 'gauge' | 'histogram',
  name: string,
  help: string,
  read: () => Sample[],
  aggregator: Aggregator = 'sum',
): void {
  // prom-client asks a metric only for its name and `get()`, so stats kept elsewhere need no second copy.
  const metric = {
    name,
    help,
    type,
    aggregator,
    get: async () => ({ name, help, type, aggregator, values: read() }),
  };
  registry.registerMetric(metric as unknown as Gauge);
}

/** The promised HTTP metrics, read from the stats of the envelope. */
export function registerHttpMetrics(registry: Registry, stats: RedStats): void {
  const samples = (label: 'status' | 'status_code' | null, from: number, to: number): Sample[] => {
    const found: Sample[] = [];
    stats.forEachStatus(({ method, pattern }, status, count) => {
      if (status < from || status > to) return;
      const labels = { method, endpoint: pattern };
      found.push({ labels: label === null ? labels : { ...labels, [label]: status }, value: count });
    });
    return label === null ? sumByLabels(found) : found;
  };
  const prefix = 'atlas_api_http';
  registerStats(registry, 'counter', `${prefix}_requests_total`, 'Requests answered', () =>
    samples('status', 100, 599),
  );
  registerStats(registry, 'counter', `${prefix}_errors_total`, 'Requests answered with an error', () =>
    samples('status_code', 400, 599),
  );
  registerStats(registry, 'counter', `${prefix}_4xx_errors_total`, 'Requests refused', () =>
    samples(null, 400, 499),
  );
  registerStats(registry, 'counter', `${prefix}_5xx_errors_total`, 'Requests failed', () =>
    samples(null, 500, 599),
  );
  registerStats(registry, 'gauge', `${prefix}_requests_in_flight`, 'Requests not answered yet', () => [
    { labels: {}, value: stats.inFlight },
  ]);
  const duration = `${prefix}_request_duration_seconds`;
  registerStats(registry, 'histogram', duration, 'Time to answer', () => durationSamples(duration, stats));
}

function sumByLabels(samples: Sample[]): Sample[] {
  const sums = new Map<string, Sample>();
  for (const { labels, value } of samples) {
    const id = JSON.stringify(labels);
    sums.set(id, { labels, value: value + (sums.get(id)?.value ?? 0) });
  }
  return [...sums.values()];
}

function durationSamples(name: string, stats: RedStats): Sample[] {
  return stats.routes.flatMap((route) => {
    const { buckets, sumMs } = stats.durations(route);
    return histogramSamples(name, { method: route.method, endpoint: route.pattern }, buckets, sumMs);
  });
}

/** Counts per bucket as the cumulative samples that Prometheus wants; nothing for a histogram without observations. */
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

/** What this process asks of PostgreSQL. */
export function registerDatabaseMetrics(
  registry: Registry,
  connectionsMax: number,
  stats: Readonly<QueryStats>,
): void {
  const prefix = 'atlas_database';
  const name = `${prefix}_query_duration_seconds`;
  registerStats(registry, 'gauge', `${prefix}_connections_max`, 'Connections that may be open', () => [
    { labels: {}, value: connectionsMax },
  ]);
  registerStats(registry, 'gauge', `${prefix}_queries_in_flight`, 'Queries that are not answered yet', () => [
    { labels: {}, value: stats.inFlight },
  ]);
  registerStats(registry, 'counter', `${prefix}_errors_total`, 'Queries that failed', () => [
    { labels: {}, value: stats.errors },
  ]);
  registerStats(registry, 'histogram', name, 'Time to answer a query', () =>
    histogramSamples(name, {}, stats.buckets, stats.sumMs),
  );
}
