import type { Registry } from 'prom-client';
import { registerStats } from '../../../instrumentation/register-stats.ts';
import type { MovementType } from './set.ts';

/** Counts sets and their movements by outcome. Replays do nothing, so they are not counted. */
export class SetOutcomes {
  #posted = 0;
  #refused = 0;
  /** By type and outcome. */
  readonly #movements = new Map<string, { readonly type: string; readonly outcome: string; count: number }>();

  count(isRefused: boolean, movements: readonly (readonly [type: MovementType, outcome: string])[]): void {
    if (isRefused) this.#refused++;
    else this.#posted++;
    for (const [type, outcome] of movements) {
      const label = `${type} ${outcome}`;
      const counted = this.#movements.get(label);
      if (counted) counted.count++;
      else this.#movements.set(label, { type, outcome, count: 1 });
    }
  }

  register(registry: Registry): void {
    const name = 'atlas_ledger_sets_total';
    registerStats(registry, 'counter', name, 'Sets that this worker served, without replays', () => [
      { labels: { outcome: 'posted' }, value: this.#posted },
      { labels: { outcome: 'refused' }, value: this.#refused },
    ]);
    registerStats(
      registry,
      'counter',
      'atlas_ledger_set_movements_total',
      'Movements of these sets, by type and outcome',
      () => [...this.#movements.values()].map(({ count, ...labels }) => ({ labels, value: count })),
    );
  }
}
