import { expect, test } from 'bun:test';
import { Registry } from 'prom-client';
import { QueryStats } from '../../../src/adapters/postgres/query.ts';
import { registerDatabaseMetrics } from '../../../src/instrumentation/database-metrics.ts';

test('database metrics report the connection limit, errors, conflicts, and queries in flight', async () => {
  const registry = new Registry();
  const stats = Object.assign(new QueryStats(), { errors: 3, inFlight: 2 });
  Object.assign(stats.conflicts, { retried: 5, failed: 1 });
  registerDatabaseMetrics(registry, 150, { stats, calls: { waiting: 4 } });
  const lines = (await registry.metrics()).split('\n');
  expect(lines).toContain('atlas_database_connections_max 150');
  expect(lines).toContain('atlas_database_errors_total 3');
  expect(lines).toContain('atlas_database_queries_in_flight 2');
  expect(lines).toContain('atlas_database_calls_waiting_for_owner 4');
  expect(lines).toContain('atlas_database_conflicts_total{outcome="retried"} 5');
  expect(lines).toContain('atlas_database_conflicts_total{outcome="failed"} 1');
});
