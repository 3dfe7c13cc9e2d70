import type { BodyStream, Exchange } from './exchange.ts';

/** The errors that end the reading of a streamed body, made by whoever composes the pipeline. */
export interface ArrivingBodyErrors {
  readonly tooLarge: (limitBytes: number) => Error;
  readonly stalled: () => Error;
  readonly cut: (cause: unknown) => Error;
}

// Slower than that on average (1 KiB/s), a sender only holds a place that others need.
const PROGRESS_MS = 32_000;
const PROGRESS_BYTES = 32_768;

/**
 * A body that is read while it arrives, up to the limit of its route, and not ahead of whoever reads it: then the
 * sender waits. Only the time that the reader waits for the sender counts against the sender.
 */
export class ArrivingBody implements BodyStream {
  isRead = false;
  readonly #body: ReadableStream<Uint8Array>;
  readonly #exchange: Exchange;
  readonly #errors: ArrivingBodyErrors;
  readonly #progressMs: number;

  constructor(
    body: ReadableStream<Uint8Array>,
    exchange: Exchange,
    errors: ArrivingBodyErrors,
    progressMs = PROGRESS_MS,
  ) {
    this.#body = body;
    this.#exchange = exchange;
    this.#errors = errors;
    this.#progressMs = progressMs;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    const { tooLarge } = this.#errors;
    const limitBytes = this.#exchange.route.bodyLimitBytes;
    const reader = this.#body.getReader();
    let length = 0;
    let moved = 0;
    let waitedMs = 0;
    try {
      for (;;) {
        const startMs = performance.now();
        const { done, value } = await this.#read(reader, this.#progressMs - waitedMs);
        if (done) {
          this.isRead = true;
          return;
        }
        length += value.byteLength;
        if (length > limitBytes) throw tooLarge(limitBytes);
        waitedMs += performance.now() - startMs;
        moved += value.byteLength;
        if (moved >= PROGRESS_BYTES) [moved, waitedMs] = [0, 0];
        yield value;
      }
    } finally {
      // Also a body that failed is told, and then it refuses; there is nobody to hear of that.
      if (!this.isRead) void reader.cancel().catch(() => {});
    }
  }

  /** The next piece, unless the sender takes too long for it or the exchange is given up. */
  #read(reader: ReadableStreamDefaultReader<Uint8Array>, waitMs: number) {
    const { signal } = this.#exchange;
    const { stalled, cut } = this.#errors;
    return new Promise<ReadableStreamReadResult<Uint8Array>>((resolve, reject) => {
      const giveUp = () => end(() => reject(cut(signal.reason)));
      const timer = setTimeout(() => end(() => reject(stalled())), Math.max(0, waitMs));
      const end = (settle: () => void) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', giveUp);
        settle();
      };
      if (signal.aborted) return giveUp();
      signal.addEventListener('abort', giveUp, { once: true });
      reader.read().then(
        (result) => end(() => resolve(result as ReadableStreamReadResult<Uint8Array>)),
        (error: unknown) => end(() => reject(cut(error))),
      );
    });
  }
}
