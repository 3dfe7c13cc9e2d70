import { mkdir, writeFile } from 'node:fs/promises';
import { COLORS, lineChart, type Panel, type Series } from '../plot/line-chart.ts';
import { type Axis, linearAxis, logAxis, plain } from '../plot/scale.ts';
import { inRepository } from '../support/processes.ts';
import { count, percent } from '../support/statistics.ts';
import { TIER_MIX, TIERS } from './samples.ts';
import type { Moment } from './settling.ts';
import { SHOWN_MS, type StepResult } from './step.ts';
import { OBJECTIVE_MS } from './summary.ts';
import type { Point } from './sweep.ts';
import { VARIANTS, type Variant, variants } from './variants.ts';

const COLOR: Readonly<Record<Variant, string>> = {
  none: COLORS.grey,
  fixed: COLORS.orange,
  atlas: COLORS.blue,
};
const FOLDER = 'docs/plots';
const WITHIN = `2xx responses within ${OBJECTIVE_MS} ms`;

/** The data of the plots. */
export interface Plotted {
  readonly database: readonly Point[];
  readonly databaseCapacity: number;
  readonly slots: readonly Point[];
  readonly slotsCapacity: number;
  readonly steps: readonly StepResult[];
  /** When and where it was measured, for the subtitle of each plot. */
  readonly conditions: string;
}

/** Draws all plots of a run into `docs/plots`. Returns their paths. */
export async function writePlots(plotted: Plotted): Promise<string[]> {
  const { database, databaseCapacity, slots, slotsCapacity, steps, conditions } = plotted;
  const charts = {
    'overload-goodput.svg': lineChart({
      title: 'Goodput and latency under overload',
      subtitle: `${WITHIN}; a route on 20 database connections; ${conditions}`,
      columns: 2,
      panels: [goodputPanel(database, databaseCapacity), latencyPanel(database)],
    }),
    'overload-tiers.svg': lineChart({
      title: 'Who is served under overload',
      subtitle: `${WITHIN} ÷ requests offered, by tier; the same route; ${conditions}`,
      columns: 3,
      panels: tierPanels(database),
    }),
    'overload-step.svg': lineChart({
      title: 'A step from 0.8 × to 2 × capacity',
      subtitle: `windows of 100 ms, by due time; the same route; ${conditions}`,
      columns: 1,
      panels: stepPanels(steps, databaseCapacity),
      panelHeight: 240,
    }),
    'overload-slots.svg': lineChart({
      title: 'A bottleneck that is invisible from outside',
      subtitle: `${WITHIN}; a route on 20 slots of 20 ms inside its handler; ${conditions}`,
      columns: 2,
      panels: [goodputPanel(slots, slotsCapacity), latencyPanel(slots)],
    }),
  };
  await mkdir(inRepository(FOLDER), { recursive: true });
  for (const [name, svg] of Object.entries(charts)) await writeFile(inRepository(`${FOLDER}/${name}`), svg);
  return Object.keys(charts).map((name) => `${FOLDER}/${name}`);
}

function loadAxis(points: readonly Point[]): Axis {
  const loads = [...new Set(points.map(({ load }) => load))];
  const edges = { min: Math.min(...loads), max: Math.max(...loads) };
  return { label: 'offered load (× capacity)', kind: 'log', ...edges, ticks: loads, write: plain };
}

function lines(points: readonly Point[], read: (point: Point) => number): Series[] {
  return variants.map((variant) => ({
    name: VARIANTS[variant],
    color: COLOR[variant],
    marked: true,
    dashed: variant === 'fixed',
    points: points.filter((point) => point.variant === variant).map((point) => [point.load, read(point)]),
  }));
}

function goodputPanel(points: readonly Point[], capacityPerSecond: number): Panel {
  const series = lines(points, ({ goodput }) => goodput);
  return {
    title: 'Goodput',
    x: loadAxis(points),
    y: linearAxis('good responses per second', [capacityPerSecond * 1.1]),
    series,
    rules: [{ axis: 'y', at: capacityPerSecond, words: `capacity ${count(capacityPerSecond)}/s` }],
  };
}

function latencyPanel(points: readonly Point[]): Panel {
  const values = points.map(({ p99Ms }) => p99Ms);
  return {
    title: 'P99 of admitted requests (no point: no response)',
    x: loadAxis(points),
    y: logAxis('milliseconds', [...values, OBJECTIVE_MS]),
    series: lines(points, ({ p99Ms }) => p99Ms),
    rules: [{ axis: 'y', at: OBJECTIVE_MS, words: `objective ${OBJECTIVE_MS} ms` }],
  };
}

function tierPanels(points: readonly Point[]): Panel[] {
  return TIERS.map((tier) => ({
    title: `${tier} (${percent(TIER_MIX[tier])} of load)`,
    x: loadAxis(points),
    y: linearAxis('served in time', [1], percent),
    series: lines(points, ({ success }) => success[tier]),
  }));
}

function stepPanels(steps: readonly StepResult[], capacityPerSecond: number): Panel[] {
  const all = steps.flatMap(({ moments }) => moments);
  const seconds = all.map(({ atMs }) => atMs / 1000);
  const edges = { min: Math.min(...seconds), max: Math.max(...seconds) };
  const ticks = Array.from(
    { length: Math.floor(edges.max) - Math.ceil(edges.min) + 1 },
    (_, i) => i + Math.ceil(edges.min),
  );
  const x: Axis = { label: 'seconds since the step', kind: 'linear', ...edges, ticks, write: plain };
  const series = (read: (moment: Moment) => number): Series[] =>
    steps.map(({ variant, moments }) => ({
      name: VARIANTS[variant],
      color: COLOR[variant],
      dashed: variant === 'fixed',
      points: moments.map((moment) => [(moment.atMs + SHOWN_MS / 2) / 1000, read(moment)]),
    }));
  const step = { axis: 'x', at: 0, words: 'step' } as const;
  return [
    {
      title: 'Goodput',
      x,
      y: linearAxis(
        'good responses per second',
        all.map(({ goodput }) => goodput),
      ),
      series: series(({ goodput }) => goodput),
      rules: [step, { axis: 'y', at: capacityPerSecond, words: `capacity ${count(capacityPerSecond)}/s` }],
    },
    {
      title: 'P99 of admitted requests',
      x,
      y: logAxis(
        'milliseconds',
        all.map(({ p99Ms }) => p99Ms),
      ),
      series: series(({ p99Ms }) => p99Ms),
      rules: [step],
    },
  ];
}
