import type { Registry } from 'prom-client';
import { registerStats } from '../../instrumentation/register-stats.ts';

/** Metrics of what callers change over HTTP. Commands are short-lived, so theirs are not counted. */
export function registerIdentityMetrics(
  registry: Registry,
  changes: Readonly<Record<'api_key' | 'membership' | 'invitation', Readonly<Record<string, number>>>>,
  idempotency: { readonly replays: number },
): void {
  const register = (what: keyof typeof changes, help: string) =>
    registerStats(registry, 'counter', `atlas_${what}_changes_total`, help, () =>
      Object.entries(changes[what]).map(([change, value]) => ({ labels: { change }, value })),
    );
  register('api_key', 'API keys created, rotated, and revoked over HTTP, by change');
  register('membership', 'Members of organizations whose role was changed, and who were removed, by change');
  register('invitation', 'Invitations created, withdrawn, and accepted, by change');
  registerStats(
    registry,
    'counter',
    'atlas_idempotent_replays_total',
    'Responses to retries with an Idempotency-Key, except for those of the ledger',
    () => [{ labels: {}, value: idempotency.replays }],
  );
}
