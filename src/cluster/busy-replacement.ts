import type { Logger } from '../instrumentation/logger.ts';
import type { WorkerIncarnation } from './worker-incarnation.ts';
import type { WorkerSlot } from './worker-slot.ts';

/** What the replacement of busy workers needs from the supervisor. */
export interface BusyReplacementOptions {
  readonly slots: readonly WorkerSlot[];
  readonly logger: Logger;
  isStopping(): boolean;
  startIncarnation(slot: WorkerSlot): WorkerIncarnation;
  /** Ends a worker whose successor is ready. Resolves when it has exited. */
  retire(old: WorkerIncarnation): Promise<void>;
}

const RETRY_MS = 5000;

/**
 * Replaces workers that have computed for too long without a heartbeat, one at a time: starts the successor, waits
 * until it is ready, then ends the old one. So the host never has fewer workers than before.
 */
export class BusyReplacement {
  readonly #options: BusyReplacementOptions;
  #isRunning = false;
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor(options: BusyReplacementOptions) {
    this.#options = options;
  }

  /** Starts to replace a worker, unless it is too early. To be called again as long as the worker is overdue. */
  request(old: WorkerIncarnation): void {
    if (this.#isRunning || this.#options.isStopping() || performance.now() < this.#nextMs) return;
    const slot = this.#options.slots[old.slot]!;
    // A rolling replacement has started the successor already, and drains the old one.
    if (slot.incarnations.at(-1) !== old) return;
    this.#isRunning = true;
    void this.#replace(slot, old).finally(() => {
      this.#isRunning = false;
    });
  }

  async #replace(slot: WorkerSlot, old: WorkerIncarnation): Promise<void> {
    const { logger, startIncarnation, isStopping, retire } = this.#options;
    const about = { slot: slot.index, pid: old.pid };
    logger.warn(about, 'starting the successor of a busy worker that sends no heartbeats');
    if (!(await startIncarnation(slot).ready)) {
      this.#nextMs = performance.now() + RETRY_MS;
      if (!isStopping()) logger.error(about, 'a busy worker stays: its successor failed to start');
      return;
    }
    if (!isStopping()) await retire(old);
  }
}
