import type { Registry } from 'prom-client';
import { registerStats } from '../../../instrumentation/register-stats.ts';
import type { Movement, Outcome, PostRequest, PostResult } from '../movement.ts';
import type { ExpiryStats } from './expiry.ts';

/** What was done to holds, as a label: `created`, `posted`, `voided`, or why it was refused. */
export class HoldOutcomes {
  readonly #counts = new Map<string, number>();

  /** Counts the holds in a batch. Replays do nothing. */
  count(requests: readonly PostRequest[], results: readonly PostResult[]): void {
    for (const [r, result] of results.entries()) {
      if (result.state !== 'fresh') continue;
      const { orders } = requests[r]!;
      for (const [i, { outcome }] of result.items.entries()) {
        const label = labelOf(orders[i]!.kind, outcome);
        if (label !== null) this.#counts.set(label, (this.#counts.get(label) ?? 0) + 1);
      }
    }
  }

  entries(): Iterable<readonly [outcome: string, count: number]> {
    return this.#counts;
  }
}

const DONE = { hold: 'created', post: 'posted', void: 'voided' } as const;

function labelOf(kind: Movement['kind'], outcome: Outcome): string | null {
  if (kind === undefined || kind === 'reverse') return null;
  return outcome === 'posted' ? DONE[kind] : outcome;
}

/** Registers the metrics of holds. */
export function registerHoldMetrics(
  registry: Registry,
  outcomes: HoldOutcomes,
  readExpiry: () => ExpiryStats,
): void {
  registerStats(
    registry,
    'counter',
    'atlas_ledger_holds_total',
    'Holds that this worker created, posted, or voided, and why it refused to, by outcome',
    () => [...outcomes.entries()].map(([outcome, value]) => ({ labels: { outcome }, value })),
  );
  registerStats(registry, 'counter', 'atlas_ledger_holds_expired_total', 'Holds that expired', () => [
    { labels: {}, value: readExpiry().expired },
  ]);
  registerStats(
    registry,
    'gauge',
    'atlas_ledger_holds_overdue_seconds',
    'Seconds that the oldest hold was past its expiry when expired holds were last released',
    () => [{ labels: {}, value: readExpiry().overdueSeconds }],
    'max',
  );
}
