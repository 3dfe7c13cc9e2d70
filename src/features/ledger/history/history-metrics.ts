import type { Registry } from 'prom-client';
import { registerStats } from '../../../instrumentation/register-stats.ts';
import type { BackfillStats } from './backfill.ts';
import { STATEMENT_ENDS, type StatementStats } from './statement-stream.ts';

/** Registers the metrics of statements, and of the backfill of balances. */
export function registerHistoryMetrics(
  registry: Registry,
  readStatements: () => StatementStats,
  readBackfill: () => BackfillStats,
): void {
  registerStats(
    registry,
    'gauge',
    'atlas_ledger_statements_in_progress',
    'Statements that this worker is sending as CSV, or rendering as PDF',
    () => [{ labels: {}, value: readStatements().inProgress }],
  );
  registerStats(
    registry,
    'counter',
    'atlas_ledger_statements_total',
    'Statements as CSV or PDF that were complete, cut, or refused because too many were in progress',
    () => {
      const { ended, refused } = readStatements();
      return [
        ...STATEMENT_ENDS.map((outcome) => ({ labels: { outcome }, value: ended[outcome] })),
        { labels: { outcome: 'refused' }, value: refused },
      ];
    },
  );
  registerStats(
    registry,
    'counter',
    'atlas_ledger_statement_entries_total',
    'Entries that were sent in statements as CSV',
    () => [{ labels: {}, value: readStatements().entries }],
  );
  registerStats(
    registry,
    'counter',
    'atlas_ledger_balance_checkpoints_total',
    'Balances that were written for entries of earlier releases, which have none',
    () => [{ labels: {}, value: readBackfill().checkpoints }],
  );
}
