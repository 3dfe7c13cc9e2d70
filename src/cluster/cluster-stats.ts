import { isCumulative, type MetricSnapshot, mergeMetrics } from './merge-metrics.ts';

interface IncarnationStats {
  readonly incarnation: number;
  latest: readonly MetricSnapshot[];
  departed: boolean;
}

interface SlotStats {
  /** Counters and histograms of all incarnations that are over and folded. */
  base: readonly MetricSnapshot[];
  /** Lives whose counts are not folded yet, oldest first. */
  incarnations: IncarnationStats[];
}

/**
 * The metrics of all workers as one. What a worker counted is kept after its end, and no counter ever falls, not by
 * the last bit of a floating-point sum either: sums are taken slot by slot and lives are folded oldest first, so a
 * fold repeats the very additions that were told before, and a sum of larger parts in the same order is never smaller.
 */
export class ClusterStats {
  readonly #slots: SlotStats[];

  constructor(slots: number) {
    this.#slots = Array.from({ length: slots }, () => ({ base: [], incarnations: [] }));
  }

  /** Takes the newest metrics of an incarnation. They come in the order in which they were read. */
  record(slot: number, incarnation: number, stats: readonly MetricSnapshot[]): void {
    const { incarnations } = this.#slots[slot]!;
    const found = incarnations.find((known) => known.incarnation === incarnation);
    if (found?.departed) return;
    if (found) found.latest = stats;
    else incarnations.push({ incarnation, latest: stats, departed: false });
  }

  /** Keeps the counts of an incarnation that is over, and forgets its gauges. */
  depart(slot: number, incarnation: number): void {
    const stats = this.#slots[slot]!;
    for (const known of stats.incarnations) if (known.incarnation === incarnation) known.departed = true;
    while (stats.incarnations[0]?.departed) {
      const { latest } = stats.incarnations.shift()!;
      stats.base = mergeMetrics([stats.base, latest.filter(isCumulative)]);
    }
  }

  /** The metrics of the whole cluster, with those of the supervisor itself at the end. */
  merged(own: readonly MetricSnapshot[] = []): MetricSnapshot[] {
    const counts = this.#slots.map(({ base, incarnations }) =>
      mergeMetrics([base, ...incarnations.map(({ latest }) => latest.filter(isCumulative))]),
    );
    const gauges = this.#slots.flatMap(({ incarnations }) =>
      incarnations
        .filter(({ departed }) => !departed)
        .map(({ latest }) => latest.filter((metric) => !isCumulative(metric))),
    );
    return [...mergeMetrics([...counts]), ...mergeMetrics(gauges), ...own];
  }
}
