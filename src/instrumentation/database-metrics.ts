import type { Registry } from 'prom-client';
import type { QueryStats } from '../adapters/postgres/query.ts';
import { histogramSamples, registerStats } from './register-stats.ts';

/** Registers the metrics of this process's queries to PostgreSQL. */
export function registerDatabaseMetrics(
  registry: Registry,
  connectionsMax: number,
  { stats, calls }: { readonly stats: Readonly<QueryStats>; readonly calls: { readonly waiting: number } },
): void {
  const prefix = 'atlas_database';
  const name = `${prefix}_query_duration_seconds`;
  registerStats(registry, 'gauge', `${prefix}_connections_max`, 'Maximum open connections', () => [
    { labels: {}, value: connectionsMax },
  ]);
  registerStats(registry, 'gauge', `${prefix}_queries_in_flight`, 'Queries in flight', () => [
    { labels: {}, value: stats.inFlight },
  ]);
  registerStats(
    registry,
    'gauge',
    `${prefix}_calls_waiting_for_owner`,
    'Calls that wait until others of their owner have ended',
    () => [{ labels: {}, value: calls.waiting }],
  );
  registerStats(registry, 'counter', `${prefix}_errors_total`, 'Queries that failed', () => [
    { labels: {}, value: stats.errors },
  ]);
  registerStats(
    registry,
    'counter',
    `${prefix}_conflicts_total`,
    'Transactions that PostgreSQL rolled back for another one (40001, 40P01)',
    () => Object.entries(stats.conflicts).map(([outcome, value]) => ({ labels: { outcome }, value })),
  );
  registerStats(registry, 'histogram', name, 'Query duration', () =>
    histogramSamples(name, {}, stats.buckets, stats.sumMs),
  );
}
