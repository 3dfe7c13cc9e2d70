import { alignedTable, count, decimal, percent } from '../support/statistics.ts';
import { atLeast, atMost, type Target } from '../targets.ts';
import { TIERS } from './samples.ts';
import type { StepResult } from './step.ts';
import type { Point } from './sweep.ts';
import { VARIANTS } from './variants.ts';

/** Formats a sweep as a table. */
export function sweepTable(name: string, points: readonly Point[], capacityPerSecond: number): string {
  const rows = points.map((point) => [
    `${VARIANTS[point.variant]}, ${point.load} ×`,
    count(point.load * capacityPerSecond),
    count(point.goodput),
    decimal(point.goodput / capacityPerSecond),
    decimal(point.p50Ms, 1),
    decimal(point.p99Ms, 1),
    ...TIERS.map((tier) => exactPercent(point.success[tier])),
    count(point.refusedPerSecond),
    count(point.unansweredPerSecond),
    decimal(point.inFlight, 1),
    decimal(point.limit, 0),
    percent(point.inFlight / point.limit),
    decimal(point.server),
    decimal(point.client),
    decimal(point.postgres),
  ]);
  const head = [name, 'offered/s', 'good/s', '÷ capacity', 'P50 ms', 'P99 ms', ...TIERS];
  const rest = ['refused/s', 'no response/s', 'in flight', 'limit', 'used', 'server', 'client', 'PostgreSQL'];
  return alignedTable([...head, ...rest], rows);
}

/** Formats the steps as a table. */
export function stepTable(steps: readonly StepResult[]): string {
  const rows = steps.map(({ variant, settlingMs, repetitions, calm }) => [
    VARIANTS[variant],
    Number.isFinite(settlingMs) ? `${count(settlingMs)} ms` : 'never',
    repetitions.map((ms) => (Number.isFinite(ms) ? count(ms) : 'never')).join(', '),
    `${decimal(calm.p99MsMax, 0)} ms`,
    `${count(calm.goodputMin)}/s`,
  ]);
  return alignedTable(['step from 0.8 × to 2 ×', 'settled after', 'all runs', 'P99 ≤', 'good ≥'], rows);
}

function exactPercent(share: number): string {
  return Number.isFinite(share) ? `${(share * 100).toFixed(1)} %` : '–';
}

/** The results that {@link evaluateOverload} compares. */
export interface OverloadResults {
  readonly database: readonly Point[];
  readonly slots: readonly Point[];
  readonly slotsCapacityPerSecond: number;
  readonly steps: readonly StepResult[];
}

/** Compares the results with the targets of load shedding. */
export function evaluateOverload({
  database,
  slots,
  slotsCapacityPerSecond,
  steps,
}: OverloadResults): Target[] {
  const atlas = (points: readonly Point[], load: number) =>
    points.find((point) => point.variant === 'atlas' && point.load === load)!;
  const peak = Math.max(
    ...database.filter(({ variant }) => variant === 'atlas').map(({ goodput }) => goodput),
  );
  const ofSlots = (load: number) => atlas(slots, load).goodput / slotsCapacityPerSecond;
  const settled = steps.find(({ variant }) => variant === 'atlas')!.settlingMs;
  return [
    atLeast('goodput at 10 × offered load ÷ peak goodput', atlas(database, 10).goodput / peak, 0.95),
    atLeast('20 slots of 20 ms at 2 ×: responses within 200 ms ÷ capacity', ofSlots(2), 0.95),
    atLeast('20 slots of 20 ms at 5 ×: responses within 200 ms ÷ capacity', ofSlots(5), 0.95),
    atMost(
      'P99 of admitted requests at 10 × ÷ at 0.8 ×',
      atlas(database, 10).p99Ms / atlas(database, 0.8).p99Ms,
      2,
    ),
    atLeast('success of the critical tier at 5 ×, %', atlas(database, 5).success.critical * 100, 99.5),
    atMost('time to settle after a step from 0.8 × to 2 ×', settled, 500, 'ms', 0),
  ];
}
