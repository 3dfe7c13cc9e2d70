import { AtlasError } from '../../errors.ts';
import type { Abortable } from '../../utils/abortable.ts';
import { setLateTimer } from '../../utils/late-timers.ts';
import { mapDatabaseError } from './postgres.ts';

/** What to read, and how much at once. */
export interface BatchedReadsOptions<T> {
  /** Reads the rows of distinct ids in one query, in any order, each with its id. Throws like `Database.query`. */
  readonly read: (
    ids: readonly string[],
    signal: AbortSignal,
  ) => Promise<readonly (readonly [id: string, T])[]>;
  /** Maximum ids per query. */
  readonly batchIdsMax?: number;
  /** Maximum callers whose query is not sent yet. */
  readonly waitingMax?: number;
}

interface Reader<T> {
  readonly id: string;
  readonly caller: Abortable | undefined;
  resolve(row: T | null): void;
  reject(error: unknown): void;
  /** Removes the reader from its queue or query. */
  leave(): void;
}

const BATCH_IDS_MAX = 256;
const WAITING_MAX = 4096;
// Enough that PostgreSQL and this process work at the same time, few enough that queries stay large under load.
const IN_FLIGHT_MAX = 4;
const RETRY_AFTER_SECONDS = 1;
// Nothing reports a lost connection, so a query that takes long checks its callers this often.
const CHECK_MS = 100;

/**
 * Reads by id that arrive in one turn of the loop share a query (after DataLoader, Facebook 2010), as do those that
 * arrive while four queries are in flight. A read never joins a query that was already sent, so it sees everything that
 * was committed before. No caller owns the query: one that aborts leaves, and the last one that leaves cancels it.
 */
export class BatchedReads<T> {
  readonly #options: BatchedReadsOptions<T>;
  readonly #waiting = new Set<Reader<T>>();
  #inFlight = 0;
  #isScheduled = false;

  constructor(options: BatchedReadsOptions<T>) {
    this.#options = options;
  }

  /**
   * Returns the row of the id, or null if there is none. Callers share it, so they must not change it. Throws what the
   * query throws, `overloaded` if too many callers wait, and `deadline_exceeded` when the caller is aborted.
   */
  find(id: string, caller?: Abortable): Promise<T | null> {
    return new Promise((resolve, reject) => {
      const { waitingMax = WAITING_MAX } = this.#options;
      if (this.#waiting.size >= waitingMax) return reject(queueFull());
      const reader: Reader<T> = { id, caller, resolve, reject, leave: () => this.#waiting.delete(reader) };
      this.#waiting.add(reader);
      if (caller) {
        caller.onAbort = () => {
          reader.leave();
          reject(abortError(caller));
        };
      }
      this.#schedule();
    });
  }

  /** Sends queries at the end of this turn of the loop, so that they hold everything that arrives in it. */
  #schedule(): void {
    if (this.#isScheduled || this.#inFlight >= IN_FLIGHT_MAX || this.#waiting.size === 0) return;
    this.#isScheduled = true;
    setLateTimer(0, () => {
      this.#isScheduled = false;
      while (this.#inFlight < IN_FLIGHT_MAX && this.#waiting.size > 0) void this.#run(this.#seal());
    });
  }

  /** Takes the readers of one query, in order of arrival. */
  #seal(): Set<Reader<T>> {
    const { batchIdsMax = BATCH_IDS_MAX } = this.#options;
    const ids = new Set<string>();
    const batch = new Set<Reader<T>>();
    for (const reader of this.#waiting) {
      if (ids.size === batchIdsMax && !ids.has(reader.id)) break;
      ids.add(reader.id);
      batch.add(reader);
      this.#waiting.delete(reader);
    }
    return batch;
  }

  async #run(readers: Set<Reader<T>>): Promise<void> {
    const ids = new Set<string>();
    const controller = new AbortController();
    for (const reader of readers) {
      ids.add(reader.id);
      reader.leave = () => {
        readers.delete(reader);
        if (readers.size === 0) controller.abort(reader.caller!.abortReason);
      };
    }
    const checking = setInterval(checkCallers, CHECK_MS, readers);
    this.#inFlight++;
    try {
      const rows = await this.#options.read([...ids], controller.signal);
      const rowOf = new Map(rows);
      for (const reader of readers) settle(reader).resolve(rowOf.get(reader.id) ?? null);
    } catch (error) {
      for (const reader of readers) settle(reader).reject(error);
    } finally {
      clearInterval(checking);
      this.#inFlight--;
      this.#schedule();
    }
  }
}

function settle<T>(reader: Reader<T>): Reader<T> {
  if (reader.caller) reader.caller.onAbort = null;
  return reader;
}

/** Reading the reason reports a lost connection, and removes the reader. */
function checkCallers(readers: Set<Reader<unknown>>): void {
  for (const { caller } of [...readers]) void caller?.abortReason;
}

function abortError({ abortReason }: Abortable): unknown {
  return mapDatabaseError(abortReason, AbortSignal.abort(abortReason));
}

function queueFull(): AtlasError {
  return new AtlasError('overloaded', 'The PostgreSQL queue is full.', {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}
