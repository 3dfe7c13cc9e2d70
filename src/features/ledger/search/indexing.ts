import type { BackgroundLoop } from '../../../resilience/background-loops.ts';
import { sleep } from '../../../utils/sleep.ts';

/** What one step of {@link Indexing} did. */
export interface IndexStep {
  /** Transfers that have their terms now; null if another host is at it. */
  readonly indexed: number | null;
  readonly hasMore: boolean | null;
  /** Age of the oldest event that has not been read, and how many have come. */
  readonly lagSeconds: number;
  readonly lastPosition: number;
}

/** Counts since the process started, for the metrics. */
export interface IndexingStats {
  readonly indexed: number;
  readonly lagSeconds: number;
}

const POLL_MS = 200;
// While payments come, it leaves them the machine, unless it is far behind.
const BUSY_EVENTS_PER_SECOND = 500;
const BUSY_SHARE = 0.02;
const LATE_SHARE = 0.15;
const LATE_SECONDS = 900;
const IDLE_SHARE = 0.5;

/** Keeps the index of the search up with the log of events. What a killed process did not do, the next one does. */
export class Indexing {
  readonly loop: BackgroundLoop = { name: 'search index', run: (signal) => this.#run(signal) };
  readonly #next: () => Promise<IndexStep>;
  #indexed = 0;
  #lagSeconds = 0;

  /** `next` takes the index one step further. */
  constructor(next: () => Promise<IndexStep>) {
    this.#next = next;
  }

  stats(): IndexingStats {
    return { indexed: this.#indexed, lagSeconds: this.#lagSeconds };
  }

  /** Takes one step. Throws like `Database.query`. */
  async step(): Promise<IndexStep> {
    const step = await this.#next();
    this.#indexed += step.indexed ?? 0;
    this.#lagSeconds = step.lagSeconds;
    return step;
  }

  async #run(signal: AbortSignal): Promise<void> {
    let before = { position: Number.POSITIVE_INFINITY, atMs: 0 };
    try {
      while (!signal.aborted) {
        const startMs = performance.now();
        const { hasMore, lagSeconds, lastPosition, indexed } = await this.step();
        const endMs = performance.now();
        const perSecond = (lastPosition - before.position) / ((startMs - before.atMs) / 1000);
        before = { position: lastPosition, atMs: startMs };
        const isBusy = perSecond > BUSY_EVENTS_PER_SECOND;
        const share = !isBusy ? IDLE_SHARE : lagSeconds > LATE_SECONDS ? LATE_SHARE : BUSY_SHARE;
        const pauseMs = indexed ? (endMs - startMs) * (1 / share - 1) : 0;
        await sleep(hasMore ? pauseMs : Math.max(POLL_MS, pauseMs), signal);
      }
    } finally {
      // Another worker measures it now, and metrics take the maximum.
      this.#lagSeconds = 0;
    }
  }
}
