import type { Registry } from 'prom-client';
import { registerStats } from '../../../instrumentation/register-stats.ts';
import type { BackgroundVerification } from './background.ts';

/** Registers the metrics of the verification in the background. They are of all hosts, as this one last read them. */
export function registerVerificationMetrics(
  registry: Registry,
  stats: BackgroundVerification['stats'],
): void {
  const gauge = (name: string, help: string, read: (last: NonNullable<ReturnType<typeof stats>>) => number) =>
    registerStats(
      registry,
      'gauge',
      name,
      help,
      () => {
        const last = stats();
        return last === null ? [] : [{ labels: {}, value: read(last) }];
      },
      'max',
    );
  gauge(
    'atlas_ledger_discrepancies',
    'Discrepancies that the verification in the background has found and that are still there, up to 100',
    ({ discrepancies }) => discrepancies.length,
  );
  gauge(
    'atlas_ledger_verified_entries',
    'Entries that the verification in the background has read since the first one',
    ({ entries }) => entries,
  );
  gauge(
    'atlas_ledger_verification_age_seconds',
    'Seconds since the verification in the background last ended a pass over all accounts',
    ({ ageSeconds }) => ageSeconds,
  );
}
