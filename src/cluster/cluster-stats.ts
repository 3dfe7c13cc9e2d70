import { isCumulative, type MetricSnapshot, mergeMetrics } from './merge-metrics.ts';

interface IncarnationStats {
  readonly incarnation: number;
  latest: readonly MetricSnapshot[];
  /** Whether it has exited: its counts stay, its gauges do not. */
  retired: boolean;
}

interface SlotStats {
  /** Counters and histograms of all folded incarnations. */
  base: readonly MetricSnapshot[];
  /** Incarnations that are not folded yet, oldest first. */
  incarnations: IncarnationStats[];
}

/**
 * Merges the metrics of all workers. Counts of a worker survive its exit, and no counter ever decreases, not even by
 * floating-point rounding: sums are taken slot by slot and incarnations are folded oldest first, so folding repeats
 * the same additions, and a sum of larger parts in the same order is never smaller.
 */
export class ClusterStats {
  readonly #slots: SlotStats[];

  constructor(slots: number) {
    this.#slots = Array.from({ length: slots }, () => ({ base: [], incarnations: [] }));
  }

  /** Records the latest metrics of an incarnation. Calls must come in the order of the readings. */
  record(slot: number, incarnation: number, stats: readonly MetricSnapshot[]): void {
    const { incarnations } = this.#slots[slot]!;
    const recorded = incarnations.find((other) => other.incarnation === incarnation);
    if (recorded?.retired) return;
    if (recorded) recorded.latest = stats;
    else incarnations.push({ incarnation, latest: stats, retired: false });
  }

  /** Keeps the counts of an incarnation that has exited, and drops its gauges. */
  retire(slot: number, incarnation: number): void {
    const stats = this.#slots[slot]!;
    for (const other of stats.incarnations) if (other.incarnation === incarnation) other.retired = true;
    while (stats.incarnations[0]?.retired) {
      const { latest } = stats.incarnations.shift()!;
      stats.base = mergeMetrics([stats.base, latest.filter(isCumulative)]);
    }
  }

  /** Returns the metrics of the whole cluster, followed by those of the supervisor itself. */
  merge(own: readonly MetricSnapshot[] = []): MetricSnapshot[] {
    const counts = this.#slots.map(({ base, incarnations }) =>
      mergeMetrics([base, ...incarnations.map(({ latest }) => latest.filter(isCumulative))]),
    );
    const gauges = this.#slots.flatMap(({ incarnations }) =>
      incarnations
        .filter(({ retired }) => !retired)
        .map(({ latest }) => latest.filter((metric) => !isCumulative(metric))),
    );
    return [...mergeMetrics([...counts]), ...mergeMetrics(gauges), ...own];
  }
}
