import { percentile } from '../support/statistics.ts';
import { type Latency, OBJECTIVE_MS, type StreamReport } from './order.ts';

const COUNTS = ['due', 'sent', 'good', 'late', 'refused', 'others'] as const;
type Counts = Record<(typeof COUNTS)[number], number>;

/** Counts the requests of one stream by the second in which they were due. */
export class Tally {
  readonly #warmUpSeconds: number;
  readonly #measuredSeconds: number;
  readonly #seconds: readonly Counts[];
  readonly #admittedMs: number[] = [];
  readonly #refusedMs: number[] = [];

  /** The warm-up must be a whole number of seconds. */
  constructor(warmUpSeconds: number, seconds: number) {
    this.#warmUpSeconds = warmUpSeconds;
    this.#measuredSeconds = seconds;
    this.#seconds = Array.from({ length: Math.ceil(warmUpSeconds + seconds) }, () => ({
      due: 0,
      sent: 0,
      good: 0,
      late: 0,
      refused: 0,
      others: 0,
    }));
  }

  /** Times are in milliseconds since the start of the run. */
  due(dueMs: number, isSent: boolean): void {
    const second = this.#secondOf(dueMs);
    if (second === undefined) return;
    second.due++;
    if (isSent) second.sent++;
  }

  /** Counts a response. Its latency counts from when its request was due. */
  responded(dueMs: number, arrivedMs: number, status: number): void {
    const second = this.#secondOf(dueMs);
    if (second === undefined) return;
    const durationMs = arrivedMs - dueMs;
    const isMeasured = dueMs >= this.#warmUpSeconds * 1000;
    if (status >= 200 && status < 300) {
      if (durationMs <= OBJECTIVE_MS) second.good++;
      else second.late++;
      if (isMeasured) this.#admittedMs.push(durationMs);
    } else if (status === 429) {
      second.refused++;
      if (isMeasured) this.#refusedMs.push(durationMs);
    } else second.others++;
  }

  /** Reports the measured part of the run: the means per second, and the quantiles. */
  report(name: string): StreamReport {
    const measured = this.#seconds.slice(this.#warmUpSeconds);
    const mean = (count: keyof Counts) =>
      measured.reduce((sum, second) => sum + second[count], 0) / this.#measuredSeconds;
    const means = Object.fromEntries(COUNTS.map((count) => [count, mean(count)])) as Counts;
    const refusedLatency = latencyOf(this.#refusedMs);
    return { name, ...means, admitted: latencyOf(this.#admittedMs), refusedLatency, seconds: this.#seconds };
  }

  #secondOf(dueMs: number): Counts | undefined {
    const isInTime = dueMs < (this.#warmUpSeconds + this.#measuredSeconds) * 1000;
    return isInTime ? this.#seconds[Math.floor(dueMs / 1000)] : undefined;
  }
}

function latencyOf(durationsMs: readonly number[]): Latency {
  if (durationsMs.length === 0) return { p50Ms: null, p95Ms: null, p99Ms: null };
  const at = (share: number) => percentile(durationsMs, share);
  return { p50Ms: at(0.5), p95Ms: at(0.95), p99Ms: at(0.99) };
}
