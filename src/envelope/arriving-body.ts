import { PieceReader } from '../utils/piece-reader.ts';
import type { BodyStream, Exchange } from './exchange.ts';

/** Creates the errors that end reading a streamed body. */
export interface ArrivingBodyErrors {
  readonly tooLarge: (limitBytes: number) => Error;
  readonly stalled: () => Error;
  readonly cut: (cause: unknown) => Error;
}

// A sender slower than this on average (1 KiB/s) only holds a permit that others need.
const PROGRESS_MS = 32_000;
const PROGRESS_BYTES = 32_768;
// A client that has something to send begins immediately.
const FIRST_MS = 10_000;

/**
 * Streams a body as it arrives, up to the limit of its route, with backpressure: the sender waits for the reader.
 * Only the time that the reader waits for the sender counts toward the timeouts: of the first bytes, and of progress.
 */
export class ArrivingBody implements BodyStream {
  isRead = false;
  readonly #body: ReadableStream<Uint8Array>;
  readonly #exchange: Exchange;
  readonly #errors: ArrivingBodyErrors;
  readonly #progressMs: number;
  readonly #firstMs: number;
  #error: Error | null = null;
  #endRead: ((error: Error) => void) | null = null;

  constructor(
    body: ReadableStream<Uint8Array>,
    exchange: Exchange,
    errors: ArrivingBodyErrors,
    progressMs = PROGRESS_MS,
    firstMs = FIRST_MS,
  ) {
    this.#body = body;
    this.#exchange = exchange;
    this.#errors = errors;
    this.#progressMs = progressMs;
    this.#firstMs = firstMs;
    // Until somebody reads it, what arrives waits in the server.
    if (exchange.chunks !== null) exchange.chunks.isWaiting = false;
  }

  /** Ends reading with an error. */
  end(error: Error): void {
    this.#error = error;
    this.#endRead?.(error);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    const { tooLarge } = this.#errors;
    const limitBytes = this.#exchange.route.bodyLimitBytes;
    const reader = new PieceReader(this.#body);
    let length = 0;
    let receivedBytes = 0;
    let waitedMs = 0;
    try {
      for (;;) {
        const startMs = performance.now();
        const waitMs = (length === 0 ? this.#firstMs : this.#progressMs) - waitedMs;
        const piece = await this.#read(reader, waitMs);
        if (piece === null) {
          this.isRead = true;
          this.#exchange.chunks?.arrived();
          return;
        }
        length += piece.byteLength;
        if (length > limitBytes) throw tooLarge(limitBytes);
        waitedMs += performance.now() - startMs;
        receivedBytes += piece.byteLength;
        this.#exchange.chunks?.add(piece.byteLength);
        if (receivedBytes >= PROGRESS_BYTES) [receivedBytes, waitedMs] = [0, 0];
        yield piece;
      }
    } finally {
      if (!this.isRead) reader.cancel();
    }
  }

  /** Reads the next piece. Rejects if the sender takes too long or the exchange is aborted. */
  #read(reader: PieceReader, waitMs: number) {
    const { signal, chunks } = this.#exchange;
    const { stalled, cut } = this.#errors;
    if (chunks !== null) chunks.isWaiting = true;
    return new Promise<Uint8Array | null>((resolve, reject) => {
      const onAbort = () => end(() => reject(cut(signal.reason)));
      const timer = setTimeout(() => end(() => reject(stalled())), Math.max(0, waitMs));
      const end = (settle: () => void) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        this.#endRead = null;
        if (chunks !== null) chunks.isWaiting = false;
        settle();
      };
      if (signal.aborted) return onAbort();
      if (this.#error !== null) return end(() => reject(this.#error));
      this.#endRead = (error) => end(() => reject(error));
      signal.addEventListener('abort', onAbort, { once: true });
      reader.read().then(
        (piece) => end(() => resolve(piece)),
        (error: unknown) => end(() => reject(cut(error))),
      );
    });
  }
}
