import type { Registry } from 'prom-client';
import { registerStats } from '../../../instrumentation/register-stats.ts';
import type { LineCounts } from '../import.ts';

/** What this process has done with lines of imports, and the exports that it streams. */
export interface ImportStats {
  readonly lines: LineCounts;
  /** Unfinished imports of the whole database when they were last counted. */
  unfinished: number;
  exportsRunning: number;
  exportedLines: number;
}

/** Registers the metrics of imports and exports. */
export function registerImportMetrics(registry: Registry, stats: ImportStats): void {
  registerStats(
    registry,
    'counter',
    'atlas_imports_lines_total',
    'Lines of imports that this worker validated, and what became of them, by outcome',
    () => {
      const { lines, ...outcomes } = stats.lines;
      return Object.entries({ validated: lines, ...outcomes }).map(([outcome, value]) => ({
        labels: { outcome },
        value,
      }));
    },
  );
  registerStats(
    registry,
    'gauge',
    'atlas_imports_unfinished',
    'Imports that are validated or posted, or wait for their turn, in the whole database',
    () => [{ labels: {}, value: stats.unfinished }],
    'max',
  );
  registerStats(registry, 'gauge', 'atlas_exports_running', 'Exports that this worker is streaming', () => [
    { labels: {}, value: stats.exportsRunning },
  ]);
  registerStats(
    registry,
    'counter',
    'atlas_exports_lines_total',
    'Lines of exports that this worker has sent',
    () => [{ labels: {}, value: stats.exportedLines }],
  );
}
