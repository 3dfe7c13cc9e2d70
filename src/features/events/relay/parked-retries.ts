import { type BatchPipeline, LeaseLost } from './batch-pipeline.ts';
import { firstOfEachKey, type Poison, planBatch, type Unsent } from './domain.ts';
import type { Marked, RelayRepository } from './repository.ts';

const CHECK_MS = 1000;
const KEYS_MAX = 16;

/** Dependencies of {@link ParkedRetries}. */
export interface ParkedRetriesOptions {
  readonly repository: Pick<RelayRepository, 'keysToRetry' | 'readParked' | 'markParked'>;
  readonly epoch: number;
  readonly rowsMax: number;
  /** Sends events in order, and returns those that were rejected. */
  readonly send: (unsent: readonly Unsent[]) => Promise<readonly Poison[]>;
  readonly onMarked: (marked: Marked, stopped: readonly Poison[]) => void;
}

/** Sends the events of parked keys again, for keys that an operator has marked for retry. */
export class ParkedRetries {
  readonly #options: ParkedRetriesOptions;
  #nextCheckMs = 0;

  constructor(options: ParkedRetriesOptions) {
    this.#options = options;
  }

  /**
   * Sends one batch of each key, oldest event first, so that no key waits for another with a long backlog. Returns
   * whether there is more to do. Throws {@link LeaseLost} like the pipeline, which must not mark events meanwhile.
   */
  async step(pipeline: BatchPipeline, signal: AbortSignal): Promise<boolean> {
    if (performance.now() < this.#nextCheckMs) return false;
    this.#nextCheckMs = performance.now() + CHECK_MS;
    const keys = await this.#options.repository.keysToRetry(KEYS_MAX);
    // Events that are being parked now must be visible below.
    if (keys.length > 0) await pipeline.settle();
    let hasMore = keys.length === KEYS_MAX;
    for (const key of keys) {
      signal.throwIfAborted();
      if (await this.#retry(key)) hasMore = true;
    }
    if (hasMore) this.#nextCheckMs = 0;
    return hasMore;
  }

  /** Sends one batch of a key. Returns whether more of its events are parked. */
  async #retry(key: string): Promise<boolean> {
    const { repository, epoch, rowsMax, send, onMarked } = this.#options;
    // New events of the key are parked behind these meanwhile; once the last is sent, the key is no longer parked.
    const { unsent, hasMore } = await repository.readParked(key, rowsMax);
    const { sendable, poison } = planBatch(unsent);
    const rejected = await send(sendable);
    const [stopped = null] = firstOfEachKey([...poison, ...rejected]);
    const end = stopped?.sequence ?? Number.POSITIVE_INFINITY;
    const sent = sendable.findLast(({ sequence }) => sequence < end);
    const marked = await repository.markParked(epoch, key, sent?.sequence ?? null, stopped);
    if (marked === null) throw new LeaseLost();
    onMarked(marked, stopped ? [stopped] : []);
    return stopped === null && hasMore;
  }
}
