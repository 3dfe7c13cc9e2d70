import type { Registry } from 'prom-client';
import type { LogDrops } from './log-limit.ts';
import { registerStats } from './register-stats.ts';

/** Registers the metric of what was not logged. */
export function registerLogMetrics(registry: Registry, drops: LogDrops): void {
  registerStats(
    registry,
    'counter',
    'atlas_log_lines_dropped_total',
    'Log lines that were not written: identical errors, beyond the bound per second, an output that does not take them, or refused requests beyond the sample',
    () =>
      (['repeated', 'rate', 'output', 'sampled'] as const).map((reason) => ({
        labels: { reason },
        value: drops[reason],
      })),
  );
}
