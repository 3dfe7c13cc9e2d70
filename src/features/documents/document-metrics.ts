import type { Registry } from 'prom-client';
import { registerStats } from '../../instrumentation/register-stats.ts';
import type { DocumentStats } from './domain.ts';

/** Metrics of the validation of documents. `stats` is read at scrape time. */
export function registerDocumentMetrics(registry: Registry, stats: DocumentStats): void {
  registerStats(
    registry,
    'counter',
    'atlas_documents_validations_total',
    'Documents validated with the schema of their kind, by outcome',
    () => Object.entries(stats.validations).map(([outcome, value]) => ({ labels: { outcome }, value })),
  );
  const one = (type: 'counter' | 'gauge', name: string, help: string, read: () => number) =>
    registerStats(registry, type, `atlas_documents_${name}`, help, () => [{ labels: {}, value: read() }]);
  one('counter', 'validation_seconds_total', 'Time that validations took', () => stats.validationMs / 1000);
  one(
    'counter',
    'schema_compilations_total',
    'Schemas compiled because they were not in memory',
    () => stats.compilations,
  );
  one('gauge', 'schema_bytes', 'Bytes of the schemas in memory', () => stats.schemaBytes);
}
