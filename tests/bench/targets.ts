import type { Comparison, EnvelopeResult } from './envelope.ts';
import type { OverloadResult } from './saturation/overload.ts';
import type { StartResult } from './start.ts';
import { alignedTable, decimal } from './support/statistics.ts';
import type { TransfersResult } from './transfers.ts';

/** The results of a run, by part. A part that was not measured is missing. */
export interface Results {
  readonly envelope?: EnvelopeResult;
  readonly payments?: OverloadResult;
  readonly transfers?: TransfersResult;
  readonly start?: StartResult;
}

/** A target and whether it was met. `open` if too few rounds counted. */
export interface Target {
  readonly name: string;
  readonly target: string;
  readonly measured: string;
  readonly result: 'met' | 'missed' | 'open';
}

const HOT_ACCOUNTS = 5;

/** Compares the results with the targets. A part that was not measured has no targets. */
export function evaluate({ envelope, transfers, start }: Results): Target[] {
  const found: Target[] = [];
  if (envelope) {
    found.push(
      compared('envelope ÷ bare Hono', envelope.envelopeToBare, 0.92),
      compared('envelope ÷ Hono with its usual middleware', envelope.envelopeToUsual, 2.1),
      compared('envelope with key check ÷ without', envelope.keyedToEnvelope, 0.9),
    );
  }
  if (transfers) {
    const ratio = (callers: number, isHot: boolean) =>
      transfers.series.find(({ way, accounts }) => way === callers && (accounts === HOT_ACCOUNTS) === isHot)!
        .toSimple;
    found.push(
      atLeast('transfers ÷ pgbench (simple), 64 callers', ratio(64, false), 2),
      atLeast('transfers ÷ pgbench (simple), 512 callers', ratio(512, false), 3),
      atLeast('the same on five hot accounts, 64 callers', ratio(64, true), 8),
      atLeast('the same on five hot accounts, 512 callers', ratio(512, true), 12),
    );
  }
  if (envelope || transfers) {
    const resident = [envelope?.variants.atlas.residentMebibytes, transfers?.residentMebibytes];
    const most = Math.max(...resident.filter((value) => value !== undefined));
    found.push(atMost('memory of one worker after the benchmark', most, 160, 'MiB', 0));
  }
  if (start) {
    found.push(
      atMost('first start to ready, empty data folder', start.first, 8, 's', 2),
      atMost('later starts to ready', start.later, 2, 's', 2),
    );
  }
  return found;
}

/** Compares by rate if enough rounds count, else by server CPU time, and says so. */
function compared(name: string, { byRate, byCpu }: Comparison, bound: number): Target {
  return Number.isNaN(byRate) ? atLeast(`${name} (by CPU)`, byCpu, bound) : atLeast(name, byRate, bound);
}

/** A target that a value of at least the bound meets. NaN leaves it open. */
export function atLeast(name: string, value: number, bound: number, digits = 2): Target {
  const result = Number.isNaN(value) ? 'open' : value >= bound ? 'met' : 'missed';
  return { name, target: `≥ ${bound.toLocaleString('en-US')}`, measured: decimal(value, digits), result };
}

/** A target that a value of at most the bound meets. NaN leaves it open. */
export function atMost(name: string, value: number, bound: number, unit = '', digits = 2): Target {
  const result = Number.isNaN(value) ? 'open' : value <= bound ? 'met' : 'missed';
  const measured = value === Number.POSITIVE_INFINITY ? 'never' : decimal(value, digits);
  return {
    name,
    target: `≤ ${bound.toLocaleString('en-US')} ${unit}`.trim(),
    measured: `${measured} ${unit}`.trim(),
    result,
  };
}

/** Formats targets as a table. */
export function targetsTable(targets: readonly Target[]): string {
  const rows = targets.map(({ name, target, measured, result }) => [name, target, measured, result]);
  return alignedTable(['target', 'bound', 'measured', 'result'], rows);
}
