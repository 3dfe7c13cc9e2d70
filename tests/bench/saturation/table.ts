import { clientCoreText } from '../support/oha.ts';
import { alignedTable, count, decimal, percent } from '../support/statistics.ts';
import type { OverloadResult } from './overload.ts';
import type { OverloadRun } from './overload-run.ts';

/** Formats an overload as a table, one row for each run, below a line about the peak and the cost of a refusal. */
export function overloadTable(result: OverloadResult): string {
  const { name, peak, refusedMicros, refusalCost, runs } = result;
  const ordered = [...runs].sort((a, b) => a.load - b.load);
  const head = [
    name,
    'offered/s',
    'sent/s',
    'in time/s',
    'late/s',
    '429/s',
    'other/s',
    'P50 ms',
    'P99 ms',
    '429 P50',
    '429 P99',
    '÷ peak',
    'ceiling',
    '÷ ceiling',
    'µs a 429',
    'server',
    'PostgreSQL',
    'client',
  ];
  const costs = `a served request costs ${decimal(peak.servedMicros, 1)} µs, a refused one ${decimal(refusedMicros, 1)} µs: c = ${decimal(refusalCost, 3)}`;
  const peakText = `Peak: ${count(peak.perSecond)}/s in time with ${peak.callers} callers in a closed loop; ${costs}`;
  return `${alignedTable(head, ordered.map(rowOf))}\n\n${peakText}`;
}

function rowOf(run: OverloadRun): string[] {
  const { all, shares } = run;
  const ms = (value: number | null) => decimal(value ?? Number.NaN, 0);
  return [
    `${run.load} ×`,
    count(all.due),
    count(all.sent),
    count(all.good),
    count(all.late),
    count(all.refused),
    count(all.others),
    ms(all.admitted.p50Ms),
    ms(all.admitted.p99Ms),
    ms(all.refusedLatency.p50Ms),
    ms(all.refusedLatency.p99Ms),
    decimal(run.goodput),
    decimal(run.ceiling),
    decimal(run.ofCeiling),
    decimal(run.refusedMicros, 0),
    percent(shares.atlas!),
    percent(shares.postgres!),
    clientCoreText(shares.client!),
  ];
}

/** Formats the closed loops that were tried for the peak. */
export function peakTable({ peak }: OverloadResult): string {
  const rows = peak.tried.map(({ callers, report: { all, shares } }) => [
    `${callers} callers`,
    count(all.good),
    count(all.late),
    count(all.refused),
    decimal(all.admitted.p50Ms ?? Number.NaN, 0),
    decimal(all.admitted.p99Ms ?? Number.NaN, 0),
    clientCoreText(shares.client!),
  ]);
  return alignedTable(['closed loop', 'in time/s', 'late/s', '429/s', 'P50 ms', 'P99 ms', 'client'], rows);
}

/** Formats what became of each tier, one row for each run and tier. */
export function tiersTable({ runs }: OverloadResult): string {
  const rows = [...runs]
    .sort((a, b) => a.load - b.load)
    .flatMap(({ load, streams }) =>
      streams.map(({ name, due, sent, good, late, refused, admitted }) => [
        `${load} ×, ${name}`,
        count(due),
        count(sent),
        count(good),
        count(late),
        count(refused),
        decimal(admitted.p99Ms ?? Number.NaN, 0),
        `${decimal((good / sent) * 100, 1)} %`,
      ]),
    );
  const head = ['tier', 'offered/s', 'sent/s', 'in time/s', 'late/s', '429/s', 'P99 ms', 'served'];
  return alignedTable(head, rows);
}
