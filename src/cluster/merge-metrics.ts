/** One sample of a metric, as prom-client returns it. */
export interface MetricSample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** Set where it differs from the metric's name, as in `…_bucket` of a histogram. */
  readonly metricName?: string;
}

/** One metric of one process, as `registry.getMetricsAsJSON()` returns it. */
export interface MetricSnapshot {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  /** How samples of several processes are merged: sum, average, min, max, first or omit. */
  readonly aggregator: string;
  readonly values: readonly MetricSample[];
}

const AGGREGATORS: Readonly<Record<string, (values: readonly number[]) => number>> = {
  sum: (values) => values.reduce((a, b) => a + b, 0),
  average: (values) => values.reduce((a, b) => a + b, 0) / values.length,
  min: (values) => Math.min(...values),
  max: (values) => Math.max(...values),
  first: (values) => values[0]!,
};

/** Whether a metric only ever grows, so that its counts stay valid after the process has exited. */
export function isCumulative({ type }: MetricSnapshot): boolean {
  return type === 'counter' || type === 'histogram';
}

/**
 * Merges several sets of metrics into one, each metric by its aggregator. Values are added in the order given, so the
 * same parts in the same order give the same floating-point sum. Metrics with aggregator `omit` are dropped.
 */
export function mergeMetrics(parts: readonly (readonly MetricSnapshot[])[]): MetricSnapshot[] {
  const byName = new Map<string, MetricSnapshot[]>();
  for (const part of parts) {
    for (const metric of part) {
      const sameName = byName.get(metric.name);
      if (sameName) sameName.push(metric);
      else byName.set(metric.name, [metric]);
    }
  }
  return [...byName.values()].flatMap((metrics) => {
    const aggregate = AGGREGATORS[metrics[0]!.aggregator];
    return aggregate ? [{ ...metrics[0]!, values: mergeSamples(metrics, aggregate) }] : [];
  });
}

function mergeSamples(
  metrics: readonly MetricSnapshot[],
  aggregate: (values: readonly number[]) => number,
): MetricSample[] {
  const groups = new Map<string, { sample: MetricSample; values: number[] }>();
  for (const { values } of metrics) {
    for (const sample of values) {
      const id = `${sample.metricName ?? ''} ${JSON.stringify(sample.labels)}`;
      const group = groups.get(id);
      if (group) group.values.push(sample.value);
      else groups.set(id, { sample, values: [sample.value] });
    }
  }
  return [...groups.values()].map(({ sample, values }) => ({ ...sample, value: aggregate(values) }));
}
