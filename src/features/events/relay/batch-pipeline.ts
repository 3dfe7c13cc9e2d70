import { firstOfEachKey, type Poison, planBatch, type SentBefore, type Unsent } from './domain.ts';
import type { Marked, RelayRepository } from './repository.ts';

/** Thrown when somebody else is the relay now. Nothing went wrong. */
export class LeaseLost extends Error {
  constructor() {
    super('Somebody else is the relay.');
    this.name = 'LeaseLost';
  }
}

/** What batches go through. */
export interface BatchPipelineOptions {
  readonly repository: Pick<RelayRepository, 'read' | 'mark'>;
  readonly epoch: number;
  readonly rowsMax: number;
  /** Whether anything is sent, and so must be read. */
  readonly withEvents: boolean;
  /** Sends in order, and answers what was refused for what it is. */
  readonly send: (unsent: readonly Unsent[]) => Promise<readonly Poison[]>;
  readonly onMarked: (marked: Marked, stopped: readonly Poison[]) => void;
}

/** A batch that was sent and is being marked. */
interface Marking extends SentBefore {
  readonly rowIds: readonly number[];
  readonly done: Promise<void>;
}

/**
 * Batches of the outbox, one behind the other: while PostgreSQL marks one as sent, the next is read and sent. That one
 * leaves out the rows of the first, and takes what the first sent for sent. Marks are made in order, one at a time.
 */
export class BatchPipeline {
  readonly #options: BatchPipelineOptions;
  #marking: Marking | null = null;

  constructor(options: BatchPipelineOptions) {
    this.#options = options;
  }

  /** Sends one batch, and begins to mark it. Answers its rows. Throws {@link LeaseLost}, and whatever fails. */
  async step(): Promise<number> {
    const { repository, rowsMax, withEvents, send } = this.#options;
    const before = this.#marking;
    const batch = await repository.read(rowsMax, withEvents, before?.rowIds ?? []);
    const { sendable, poison } = planBatch(batch, before);
    const rejected = await send(sendable);
    await this.settle();
    if (batch.length === 0) return 0;
    const rowIds = [...new Set(batch.map(({ rowId }) => rowId))];
    const stopped = firstOfEachKey([...poison, ...rejected]);
    const done = this.#mark(rowIds, stopped);
    // Whoever settles hears of it.
    done.catch(() => {});
    const last = new Map(sendable.map(({ key, sequence }) => [key, sequence]));
    this.#marking = { rowIds, done, last, stopped: new Set(stopped.map(({ key }) => key)) };
    return rowIds.length;
  }

  /** Waits until everything that was sent is marked. Throws like {@link BatchPipeline.step}. */
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
