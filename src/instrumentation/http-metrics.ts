import type { Registry } from 'prom-client';
import type { RedStats } from '../envelope/red-stats.ts';
import { histogramSamples, registerStats, type Sample } from './register-stats.ts';

/** Registers the HTTP metrics, read from the stats of the envelope. `compressions` are counts by outcome. */
export function registerHttpMetrics(
  registry: Registry,
  stats: RedStats,
  compressions: Readonly<Record<string, number>>,
): void {
  const responses = (label: 'status' | 'status_code' | null, from: number, to: number): Sample[] => {
    const samples: Sample[] = [];
    stats.forEachStatus(({ method, pattern }, status, count) => {
      if (status < from || status > to) return;
      const labels = { method, endpoint: pattern };
      samples.push({ labels: label === null ? labels : { ...labels, [label]: status }, value: count });
    });
    return label === null ? sumByLabels(samples) : samples;
  };
  const prefix = 'atlas_api_http';
  registerStats(registry, 'counter', `${prefix}_requests_total`, 'Responses by status', () =>
    responses('status', 100, 599),
  );
  registerStats(registry, 'counter', `${prefix}_errors_total`, 'Responses with an error status', () =>
    responses('status_code', 400, 599),
  );
  registerStats(registry, 'counter', `${prefix}_4xx_errors_total`, 'Responses with a 4xx status', () =>
    responses(null, 400, 499),
  );
  registerStats(registry, 'counter', `${prefix}_5xx_errors_total`, 'Responses with a 5xx status', () =>
    responses(null, 500, 599),
  );
  registerStats(registry, 'gauge', `${prefix}_requests_in_flight`, 'Requests in flight', () => [
    { labels: {}, value: stats.inFlight },
  ]);
  registerStats(
    registry,
    'counter',
    `${prefix}_compressions_total`,
    'Compressible responses by outcome',
    () => Object.entries(compressions).map(([outcome, value]) => ({ labels: { outcome }, value })),
  );
  const duration = `${prefix}_request_duration_seconds`;
  registerStats(registry, 'histogram', duration, 'Time to respond', () => durationSamples(duration, stats));
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
