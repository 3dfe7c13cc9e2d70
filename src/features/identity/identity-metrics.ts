import type { Registry } from 'prom-client';
import { registerStats } from '../../instrumentation/register-stats.ts';

/** Metrics of what callers change over HTTP. Commands are short-lived, so theirs are not counted. */
export function registerIdentityMetrics(
  registry: Registry,
  keys: Readonly<Record<string, number>>,
  idempotency: { readonly replays: number },
): void {
  registerStats(
    registry,
    'counter',
    'atlas_api_key_changes_total',
    'API keys created, rotated, and revoked over HTTP, by change',
    () => Object.entries(keys).map(([change, value]) => ({ labels: { change }, value })),
  );
  registerStats(
    registry,
    'counter',
    'atlas_idempotent_replays_total',
    'Responses to retries with an Idempotency-Key, except for those of the ledger',
    () => [{ labels: {}, value: idempotency.replays }],
  );
}
