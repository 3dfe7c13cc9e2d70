import type { Feature } from '../../feature.ts';
import type { BackgroundVerification } from './background.ts';
import { mountBackgroundVerification, mountLedger } from './router.ts';
import type { LedgerService } from './service.ts';
import { registerVerificationMetrics } from './verification-metrics.ts';

const BACKGROUND_MS = 5000;

/** Verifies the ledger on request, and in the background. */
export function createVerification(
  service: LedgerService,
  background: BackgroundVerification,
  isIsolated: (signal: AbortSignal) => Promise<boolean>,
) {
  return {
    service,
    background,
    mount(routes) {
      mountLedger(routes, service, isIsolated);
      mountBackgroundVerification(routes, background);
    },
    metrics: (registry) => registerVerificationMetrics(registry, background.stats),
    jobs: [{ name: 'verify the ledger', by: 'one', everyMs: BACKGROUND_MS, run: background.run }],
  } satisfies Feature & Record<string, unknown>;
}
