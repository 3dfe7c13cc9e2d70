/** One of the counters of admission: see `AdmissionStats`. */
export interface DecisionCount {
  readonly decision: string;
  readonly count: number;
}

const WINDOW_MS = 1000;
// Looks that come closer together say nothing new of a second.
const SAMPLE_MS = 200;
const TOLD_EVERY_MS = 10_000;

/**
 * Makes a rate and an occasional line of the log out of the counters of refused requests. An overload refuses thousands
 * a second: a line for each would cost more than the refusal. Times are milliseconds of the monotonic clock.
 */
export class RefusalMonitor {
  #samples: { readonly atMs: number; readonly refused: number }[] = [];
  #told: Readonly<Record<string, number>> = {};
  #toldMs = Number.NEGATIVE_INFINITY;
  #perSecond = 0;

  /** Requests refused in about the last second. */
  get perSecond(): number {
    return this.#perSecond;
  }

  /**
   * Looks at the counters, several times a second. Answers what was refused since it last answered, by reason, or null
   * where that is nothing or less than ten seconds ago.
   */
  look(decisions: readonly DecisionCount[], nowMs: number): Readonly<Record<string, number>> | null {
    const counts: Record<string, number> = {};
    for (const { decision, count } of decisions)
      if (decision !== 'admitted') counts[decision] = (counts[decision] ?? 0) + count;
    this.#measure(
      Object.values(counts).reduce((sum, count) => sum + count, 0),
      nowMs,
    );
    if (nowMs - this.#toldMs < TOLD_EVERY_MS) return null;
    const news = Object.entries(counts)
      .map(([reason, count]) => [reason, count - (this.#told[reason] ?? 0)] as const)
      .filter(([, count]) => count > 0);
    if (news.length === 0) return null;
    this.#told = counts;
    this.#toldMs = nowMs;
    return Object.fromEntries(news);
  }

  #measure(refused: number, nowMs: number): void {
    const newest = this.#samples.at(-1);
    if (newest && nowMs - newest.atMs < SAMPLE_MS) return;
    this.#samples.push({ atMs: nowMs, refused });
    // The oldest one that is kept is the first that is a second old or older.
    while (this.#samples.length > 2 && nowMs - this.#samples[1]!.atMs >= WINDOW_MS) this.#samples.shift();
    const { atMs, refused: before } = this.#samples[0]!;
    this.#perSecond = nowMs > atMs ? Math.round(((refused - before) * 1000) / (nowMs - atMs)) : 0;
  }
}
