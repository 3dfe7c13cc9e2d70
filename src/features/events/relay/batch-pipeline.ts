import { firstOfEachKey, type Poison, planBatch, type SentBefore, type Unsent } from './domain.ts';
import type { Marked, RelayRepository } from './repository.ts';

/** Thrown when another relay has taken over, which is not a failure. */
export class LeaseLost extends Error {
  constructor() {
    super('Another relay has taken over.');
    this.name = 'LeaseLost';
  }
}

/** Dependencies of {@link BatchPipeline}. */
export interface BatchPipelineOptions {
  readonly repository: Pick<RelayRepository, 'read' | 'mark' | 'move'>;
  readonly epoch: number;
  readonly rowsMax: number;
  /** Whether there is a publisher, which needs the content of events. */
  readonly withEvents: boolean;
  /** Sends events in order, and returns those that were rejected. */
  readonly send: (unsent: readonly Unsent[]) => Promise<readonly Poison[]>;
  readonly onMarked: (marked: Marked, stopped: readonly Poison[]) => void;
}

/** A batch that has been sent and is being marked. */
interface Marking extends SentBefore {
  readonly rowIds: readonly number[];
  readonly done: Promise<void>;
}

/**
 * Pipelines batches of the outbox: while PostgreSQL marks one as sent, the next is read and sent. That one skips the
 * rows of the first, and treats its events as sent. Batches are marked in order, one at a time.
 */
export class BatchPipeline {
  readonly #options: BatchPipelineOptions;
  #marking: Marking | null = null;
  #hasMore = false;

  constructor(options: BatchPipelineOptions) {
    this.#options = options;
  }

  /** Whether the last batch was full, so that more rows may follow. */
  get hasMore(): boolean {
    return this.#hasMore;
  }

  /** Sends a batch and starts to mark it. Returns its number of rows. Throws {@link LeaseLost}, among others. */
  async step(): Promise<number> {
    const { repository, rowsMax, withEvents, send } = this.#options;
    if (!withEvents && this.#marking === null) {
      const moved = await this.#move();
      if (moved !== null) return moved;
    }
    const before = this.#marking;
    const { unsent, hasMore } = await repository.read(rowsMax, withEvents, before?.rowIds ?? []);
    this.#hasMore = hasMore;
    const { sendable, poison } = planBatch(unsent, before);
    const rejected = await send(sendable);
    await this.settle();
    if (unsent.length === 0) return 0;
    const rowIds = [...new Set(unsent.map(({ rowId }) => rowId))];
    const stopped = firstOfEachKey([...poison, ...rejected]);
    const done = this.#mark(rowIds, stopped);
    // A failure is thrown by `settle`.
    done.catch(() => {});
    const last = new Map(sendable.map(({ key, sequence }) => [key, sequence]));
    this.#marking = { rowIds, done, last, stopped: new Set(stopped.map(({ key }) => key)) };
    return rowIds.length;
  }

  /** Moves a batch without reading it. Returns its number of rows, or null if its events need a plan. */
  async #move(): Promise<number | null> {
    const { repository, epoch, rowsMax, onMarked } = this.#options;
    const result = await repository.move(epoch, rowsMax);
    if (result === null) throw new LeaseLost();
    if (result.sent > 0) onMarked(result, []);
    this.#hasMore = result.moved === rowsMax;
    return result.moved;
  }

  /** Waits until everything sent is marked. Throws like {@link BatchPipeline.step}. */
  async settle(): Promise<void> {
    const marking = this.#marking;
    this.#marking = null;
    await marking?.done;
  }

  async #mark(rowIds: readonly number[], stopped: readonly Poison[]): Promise<void> {
    const { repository, epoch, onMarked } = this.#options;
    const marked = await repository.mark(epoch, rowIds, stopped);
    if (marked === null) throw new LeaseLost();
    onMarked(marked, stopped);
  }
}
