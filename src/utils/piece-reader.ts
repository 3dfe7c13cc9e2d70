// A client may send a byte per chunk, and each read costs many times as much as the bytes of such a chunk.
const SMALL_BYTES = 4096;
const SMALL_READS_MAX = 16;

/**
 * Reads a stream in pieces. After a few small ones it waits for the next turn of the event loop before it reads again,
 * so that the next piece is all that has arrived until then. Otherwise a body of many small chunks keeps the loop busy
 * for seconds: each chunk is a read of its own, and one turn reads all chunks in a buffer of the socket.
 */
export class PieceReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #smallReads = 0;

  constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.getReader();
  }

  /** Returns the next piece, or null at the end. */
  async read(): Promise<Uint8Array | null> {
    if (this.#smallReads === SMALL_READS_MAX) {
      this.#smallReads = 0;
      await new Promise(setImmediate);
    }
    const { done, value } = await this.#reader.read();
    if (done) return null;
    if (value.byteLength < SMALL_BYTES) this.#smallReads++;
    return value;
  }

  /** Drops the rest. Never rejects, although canceling a body that has failed does. */
  cancel(): void {
    void this.#reader.cancel().catch(() => {});
  }
}
