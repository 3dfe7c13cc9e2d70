/** One of the counters of admission: see `AdmissionStats`. */
export interface DecisionCount {
  readonly decision: string;
  readonly count: number;
}

const WINDOW_MS = 1000;
// Samples closer together add nothing to a rate over a second.
const SAMPLE_MS = 200;
const REPORT_EVERY_MS = 10_000;

/**
 * Turns the counters of refused requests into a rate and an occasional report. An overload refuses thousands of
 * requests a second; logging each would cost more than the refusal. Times are milliseconds of the monotonic clock.
 */
export class RefusalMonitor {
  #samples: { readonly atMs: number; readonly refused: number }[] = [];
  #reported: Readonly<Record<string, number>> = {};
  #reportedMs = Number.NEGATIVE_INFINITY;
  #perSecond = 0;

  /** Requests refused in about the last second. */
  get perSecond(): number {
    return this.#perSecond;
  }

  /**
   * Samples the counters, several times a second. Returns the refusals since the last report, by reason, or null if
   * there were none or the last report is less than ten seconds old.
   */
  sample(decisions: readonly DecisionCount[], nowMs: number): Readonly<Record<string, number>> | null {
    const counts: Record<string, number> = {};
    for (const { decision, count } of decisions)
      if (decision !== 'admitted') counts[decision] = (counts[decision] ?? 0) + count;
    this.#measure(
      Object.values(counts).reduce((sum, count) => sum + count, 0),
      nowMs,
    );
    if (nowMs - this.#reportedMs < REPORT_EVERY_MS) return null;
    const increases = Object.entries(counts)
      .map(([reason, count]) => [reason, count - (this.#reported[reason] ?? 0)] as const)
      .filter(([, count]) => count > 0);
    if (increases.length === 0) return null;
    this.#reported = counts;
    this.#reportedMs = nowMs;
    return Object.fromEntries(increases);
  }

  #measure(refused: number, nowMs: number): void {
    const newest = this.#samples.at(-1);
    if (newest && nowMs - newest.atMs < SAMPLE_MS) return;
    this.#samples.push({ atMs: nowMs, refused });
    // Keep one sample that is at least a second old, and all newer ones.
    while (this.#samples.length > 2 && nowMs - this.#samples[1]!.atMs >= WINDOW_MS) this.#samples.shift();
    const { atMs, refused: before } = this.#samples[0]!;
    this.#perSecond = nowMs > atMs ? Math.round(((refused - before) * 1000) / (nowMs - atMs)) : 0;
  }
}
