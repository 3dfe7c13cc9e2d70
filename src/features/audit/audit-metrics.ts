import type { Registry } from 'prom-client';
import { registerStats } from '../../instrumentation/register-stats.ts';

/** Metrics of the sealer. A failure means that entries wait, or that the chain was tampered with: see the log. */
export function registerAuditMetrics(
  registry: Registry,
  stats: { readonly sealed: number; readonly failures: number },
): void {
  const counter = (name: string, help: string, value: () => number) =>
    registerStats(registry, 'counter', name, help, () => [{ labels: {}, value: value() }]);
  counter('atlas_audit_sealed_total', 'Audit entries sealed', () => stats.sealed);
  counter('atlas_audit_seal_failures_total', 'Failed attempts to seal audit entries', () => stats.failures);
}
