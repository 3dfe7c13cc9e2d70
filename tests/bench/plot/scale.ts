/** The range of an axis, its ticks, and their format. */
export interface Axis {
  readonly label: string;
  readonly kind: 'linear' | 'log';
  readonly min: number;
  readonly max: number;
  readonly ticks: readonly number[];
  readonly write: (value: number) => string;
}

/** Returns the position of a value on an axis, from 0 to 1. Values outside the range are clamped. */
export function place({ kind, min, max }: Axis, value: number): number {
  const to = kind === 'log' ? Math.log : Number;
  const part =
    (to(Math.max(value, kind === 'log' ? Number.MIN_VALUE : -Infinity)) - to(min)) / (to(max) - to(min));
  return Number.isNaN(part) ? Number.NaN : Math.min(1, Math.max(0, part));
}

const STEPS = [1, 2, 2.5, 5, 10];
const TICKS_ABOUT = 5;

/** Returns a linear axis from 0 to a round number that covers the values. */
export function linearAxis(label: string, values: readonly number[], write = plain): Axis {
  const most = Math.max(...values.filter(Number.isFinite), 1e-9);
  const rough = most / TICKS_ABOUT;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * STEPS.find((factor) => factor * power >= rough)!;
  const max = Math.ceil(most / step - 1e-9) * step;
  const ticks = Array.from({ length: Math.round(max / step) + 1 }, (_, i) => i * step);
  return { label, kind: 'linear', min: 0, max, ticks, write };
}

/** Returns a logarithmic axis between powers of ten that covers the values. */
export function logAxis(label: string, values: readonly number[], write = plain): Axis {
  const known = values.filter((value) => Number.isFinite(value) && value > 0);
  const from = Math.floor(Math.log10(Math.min(...known)));
  const to = Math.max(from + 1, Math.ceil(Math.log10(Math.max(...known))));
  const ticks = Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i));
  return { label, kind: 'log', min: 10 ** from, max: 10 ** to, ticks, write };
}

/** Formats 12345 as `12,345`. */
export function plain(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 2 });
}
