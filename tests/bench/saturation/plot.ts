import { OBJECTIVE_MS } from '../load/order.ts';
import { COLORS, lineChart, type Panel } from '../plot/line-chart.ts';
import { type Axis, linearAxis, logAxis, plain } from '../plot/scale.ts';
import { median } from '../support/statistics.ts';
import type { OverloadResult } from './overload.ts';
import type { OverloadRun } from './overload-run.ts';

/** Draws goodput and latency over load, for the results that exist. Null if there are none. */
export function overloadPlot(payments: unknown, reads: unknown, when: string): string | null {
  const results = [payments, reads].filter((result) => result !== undefined) as OverloadResult[];
  if (results.length === 0) return null;
  return lineChart({
    title: 'Payments and reads under overload',
    subtitle: `server and PostgreSQL on one core; medians of the runs; ${when}`,
    columns: 2,
    panels: results.flatMap((result) => [goodputPanel(result), latencyPanel(result)]),
  });
}

function loadsOf({ runs }: OverloadResult): number[] {
  return [...new Set(runs.map(({ load }) => load))].sort((a, b) => a - b);
}

function loadAxis(result: OverloadResult): Axis {
  const loads = loadsOf(result);
  const edges = { min: Math.min(...loads), max: Math.max(...loads) };
  return { label: 'offered load (× peak)', kind: 'log', ...edges, ticks: loads, write: plain };
}

function line(result: OverloadResult, read: (run: OverloadRun) => number | null): [number, number][] {
  return loadsOf(result).map((load) => {
    const values = result.runs.filter((run) => run.load === load).map((run) => read(run) ?? Number.NaN);
    return [load, median(values.filter(Number.isFinite))];
  });
}

function goodputPanel(result: OverloadResult): Panel {
  return {
    title: `${result.name}: goodput ÷ peak`,
    x: loadAxis(result),
    y: linearAxis('share of the peak', [1]),
    series: [
      { name: 'measured', color: COLORS.blue, marked: true, points: line(result, (run) => run.goodput) },
      {
        name: 'ceiling for what was sent',
        color: COLORS.grey,
        dashed: true,
        points: line(result, (run) => run.ceiling),
      },
    ],
  };
}

function latencyPanel(result: OverloadResult): Panel {
  const admitted = line(result, (run) => run.all.admitted.p99Ms);
  const refused = line(result, (run) => run.all.refusedLatency.p99Ms);
  return {
    title: `${result.name}: P99`,
    x: loadAxis(result),
    y: logAxis('milliseconds', [...[...admitted, ...refused].map(([, ms]) => ms), OBJECTIVE_MS]),
    series: [
      { name: 'measured', color: COLORS.blue, marked: true, points: admitted },
      { name: 'refusals (429)', color: COLORS.orange, marked: true, points: refused },
    ],
    rules: [{ axis: 'y', at: OBJECTIVE_MS, words: `objective ${OBJECTIVE_MS} ms` }],
  };
}
