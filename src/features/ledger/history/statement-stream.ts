import { AtlasError } from '../../../errors.ts';
import { FairShares } from '../../../utils/fair-shares.ts';
import { csvEnd, csvHead, csvLines } from './csv-lines.ts';
import type { StatementHead } from './domain.ts';
import type { HistoryService } from './service.ts';

/** Who reads a statement. */
export interface StatementReader {
  readonly owner: string;
  readonly keyId: string;
}

/** Statements since the start of this process. */
export interface StatementStats {
  readonly inProgress: number;
  readonly ended: Readonly<Record<StatementEnd, number>>;
  readonly refused: number;
  readonly entries: number;
}

export const STATEMENT_ENDS = ['complete', 'cut'] as const;
type StatementEnd = (typeof STATEMENT_ENDS)[number];

/** Dependencies of {@link StatementStreams}. */
export interface StatementStreamsOptions {
  readonly read: HistoryService['read'];
  isKeyUsable(keyId: string, signal: AbortSignal): Promise<boolean>;
}

// Each buffers some hundred kilobytes of lines.
const STREAMS_MAX = 32;
// A reader that takes longer for one part only occupies a slot that others need.
const UNREAD_MS = 60_000;
const AGE_MAX_MS = 1_800_000;
// What is known about a key is up to a second old. With that, a stream ends within 5 s after its key was revoked.
const KEY_CHECK_MS = 3500;
const RETRY_AFTER_SECONDS_MAX = 5;
const encoder = new TextEncoder();

/** Statements that are sent, or rendered, by this worker. Each owner has a share of the slots. */
export class StatementStreams {
  readonly #options: StatementStreamsOptions;
  readonly #shares = new FairShares(STREAMS_MAX);
  readonly #ended: Record<StatementEnd, number> = { complete: 0, cut: 0 };
  #refused = 0;
  #entries = 0;

  constructor(options: StatementStreamsOptions) {
    this.#options = options;
  }

  stats(): StatementStats {
    return {
      inProgress: this.#shares.used,
      ended: this.#ended,
      refused: this.#refused,
      entries: this.#entries,
    };
  }

  /** Runs work in a slot of the owner. Throws `overloaded` if there is none. */
  async inSlot<T>(owner: string, work: () => Promise<T>): Promise<T> {
    const leave = this.#enter(owner);
    let isComplete = false;
    try {
      const result = await work();
      isComplete = true;
      return result;
    } finally {
      leave(isComplete ? 'complete' : 'cut');
    }
  }

  /**
   * Streams a statement as CSV, as fast as it is read. It fails, which cuts the connection, if a query fails, the key
   * is revoked, or the reader is too slow; its last line shows that it is complete. Throws `overloaded`. Calls `ended`
   * once.
   */
  csv(
    { owner, keyId }: StatementReader,
    head: StatementHead,
    signal: AbortSignal,
    ended: () => void,
  ): ReadableStream<Uint8Array> {
    const leave = this.#enter(owner);
    const stop = new AbortController();
    const parts = this.#options.read(owner, head, stop.signal);
    let stall: Timer | undefined;
    let nextKeyCheckMs = performance.now() + KEY_CHECK_MS;
    let fail: (error: unknown) => void = () => {};
    let hasEnded = false;
    let hasHead = false;
    const end = (how: StatementEnd) => {
      if (hasEnded) return;
      hasEnded = true;
      clearTimeout(stall);
      clearTimeout(limit);
      signal.removeEventListener('abort', aborted);
      stop.abort();
      leave(how);
      ended();
    };
    const abort = (error: unknown) => {
      if (hasEnded) return;
      fail(error);
      end('cut');
    };
    const aborted = () => abort(signal.reason);
    const limit = setTimeout(() => abort(new Error('the statement took too long')), AGE_MAX_MS);
    signal.addEventListener('abort', aborted, { once: true });
    const requireKey = async () => {
      if (performance.now() < nextKeyCheckMs) return;
      // While it cannot be checked, the statement goes on.
      const isUsable = await this.#options.isKeyUsable(keyId, stop.signal).catch(() => true);
      if (!isUsable) throw new Error('the API key was revoked or has expired');
      nextKeyCheckMs = performance.now() + KEY_CHECK_MS;
    };
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          fail = (error) => controller.error(error);
          if (signal.aborted) aborted();
        },
        pull: async (controller) => {
          clearTimeout(stall);
          try {
            await requireKey();
            const { done, value } = await parts.next();
            if (hasEnded) return;
            const text = (hasHead ? '' : csvHead(head)) + (done ? csvEnd(head) : csvLines(value));
            hasHead = true;
            controller.enqueue(encoder.encode(text));
            if (done) {
              end('complete');
              controller.close();
              return;
            }
            this.#entries += value.length;
            stall = setTimeout(() => abort(new Error('the reader is too slow')), UNREAD_MS);
          } catch (error) {
            abort(error);
          }
        },
        cancel: () => end('cut'),
      },
      { highWaterMark: 0 },
    );
  }

  /** Takes a slot, and returns what releases it. */
  #enter(owner: string): (how: StatementEnd) => void {
    const refusal = this.#shares.take(owner);
    if (refusal !== null) {
      this.#refused++;
      const detail =
        refusal === 'share'
          ? `You already have ${this.#shares.held(owner)} statements in progress on this worker; the rest is for others.`
          : `This worker already has ${STREAMS_MAX} statements in progress, which is the maximum.`;
      const retryAfterSeconds = 1 + Math.floor(Math.random() * RETRY_AFTER_SECONDS_MAX);
      throw new AtlasError('overloaded', detail, { retryAfterSeconds });
    }
    return (how) => {
      this.#shares.release(owner);
      this.#ended[how]++;
    };
  }
}
