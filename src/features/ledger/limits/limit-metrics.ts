import type { Registry } from 'prom-client';
import { registerStats } from '../../../instrumentation/register-stats.ts';
import { LIMIT_MAXIMA, type LimitMaximum } from '../limit.ts';
import type { PostResult } from '../movement.ts';

/** Counts what limits across accounts have refused, by maximum. Which limit that was is in the responses. */
export class LimitRefusals {
  readonly #counts = new Map<LimitMaximum, number>();

  /** Counts those of a batch. Replays were counted before. */
  count(results: readonly PostResult[]): void {
    for (const result of results) {
      if (result.state !== 'fresh') continue;
      for (const { limit } of result.items)
        if (limit !== undefined) this.#counts.set(limit.maximum, (this.#counts.get(limit.maximum) ?? 0) + 1);
    }
  }

  of(maximum: LimitMaximum): number {
    return this.#counts.get(maximum) ?? 0;
  }
}

/** Registers the metrics of limits. */
export function registerLimitMetrics(registry: Registry, refusals: LimitRefusals): void {
  registerStats(
    registry,
    'counter',
    'atlas_ledger_limit_refusals_total',
    'Movements that this worker refused because of a limit across accounts, by maximum',
    () => LIMIT_MAXIMA.map((maximum) => ({ labels: { maximum }, value: refusals.of(maximum) })),
  );
}
