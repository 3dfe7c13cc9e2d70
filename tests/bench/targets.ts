import { alignedTable, decimal } from './support/statistics.ts';

/** A target and whether it was met. `open` if it could not be measured. */
export interface Target {
  readonly name: string;
  readonly target: string;
  readonly measured: string;
  readonly result: 'met' | 'missed' | 'open';
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
