import { isCumulative, type MetricSnapshot, mergeMetrics } from './merge-metrics.ts';

interface LifeFigures {
  readonly life: number;
  latest: readonly MetricSnapshot[];
  departed: boolean;
}

interface SlotFigures {
  /** Counters and histograms of all lives that are over and folded. */
  base: readonly MetricSnapshot[];
  /** Lives whose counts are not folded yet, oldest first. */
  lives: LifeFigures[];
}

/**
 * The metrics of all workers as one. What a worker counted is kept after its end, and no counter ever falls, not by
 * the last bit of a floating-point sum either: sums are taken slot by slot and lives are folded oldest first, so a
 * fold repeats the very additions that were told before, and a sum of larger parts in the same order is never smaller.
 */
export class ClusterFigures {
  readonly #slots: SlotFigures[];

  constructor(slots: number) {
    this.#slots = Array.from({ length: slots }, () => ({ base: [], lives: [] }));
  }

  /** Takes the newest metrics of a life. They come in the order in which they were read. */
  record(slot: number, life: number, figures: readonly MetricSnapshot[]): void {
    const { lives } = this.#slots[slot]!;
    const found = lives.find((known) => known.life === life);
    if (found?.departed) return;
    if (found) found.latest = figures;
    else lives.push({ life, latest: figures, departed: false });
  }

  /** Keeps the counts of a life that is over, and forgets its gauges. */
  depart(slot: number, life: number): void {
    const figures = this.#slots[slot]!;
    for (const known of figures.lives) if (known.life === life) known.departed = true;
    while (figures.lives[0]?.departed) {
      const { latest } = figures.lives.shift()!;
      figures.base = mergeMetrics([figures.base, latest.filter(isCumulative)]);
    }
  }

  /** The metrics of the whole cluster, with those of the supervisor itself at the end. */
  merged(own: readonly MetricSnapshot[] = []): MetricSnapshot[] {
    const counts = this.#slots.map(({ base, lives }) =>
      mergeMetrics([base, ...lives.map(({ latest }) => latest.filter(isCumulative))]),
    );
    const gauges = this.#slots.flatMap(({ lives }) =>
      lives
        .filter(({ departed }) => !departed)
        .map(({ latest }) => latest.filter((metric) => !isCumulative(metric))),
    );
    return [...mergeMetrics([...counts]), ...mergeMetrics(gauges), ...own];
  }
}
