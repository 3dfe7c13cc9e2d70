import { freeBytes } from '../../utils/free-bytes.ts';

const MIB = 1_048_576;
const FIRST_BYTES = 65_536;
/** The most parts that one object has (S3). */
export const PARTS_MAX = 10_000;

/**
 * Bytes of the part with the number, counted from 1: 5 MiB, the least that S3 takes, up to 2.7 GiB of an object, then
 * more, so that 10,000 parts hold the 5 TiB that an object may have. Nobody says beforehand how long a body is.
 */
export function partBytes(number: number): number {
  return 5 * MIB * Math.ceil((number / 550) ** 2);
}

/** Memory for one part, which grows with what comes: most files are much smaller than a part. */
export class PartBuffer {
  #bytes = new Uint8Array(0);
  #filled = 0;

  get sizeBytes(): number {
    return this.#filled;
  }

  /** What it holds. Valid until it is changed. */
  get content(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#filled);
  }

  append(bytes: Uint8Array, sizeMax: number): void {
    const needed = this.#filled + bytes.byteLength;
    if (needed > this.#bytes.byteLength) {
      const doubled = Math.max(FIRST_BYTES, 2 * this.#bytes.byteLength, needed);
      this.#bytes = new Uint8Array(this.#bytes.buffer.transfer(Math.min(sizeMax, doubled)));
    }
    this.#bytes.set(bytes, this.#filled);
    this.#filled = needed;
  }

  clear(): void {
    this.#filled = 0;
  }

  free(): void {
    freeBytes(this.#bytes);
    this.#bytes = new Uint8Array(0);
    this.#filled = 0;
  }
}

/** Cuts a body into parts. A chunk of it is copied before the next one is asked for. */
export class PartReader {
  readonly #body: AsyncIterator<Uint8Array>;
  #rest = new Uint8Array(0) as Uint8Array;

  constructor(body: AsyncIterable<Uint8Array>) {
    this.#body = body[Symbol.asyncIterator]();
  }

  /** Fills the buffer up to the size; answers whether the body has ended. Throws what the body throws. */
  async fill(buffer: PartBuffer, sizeMax: number): Promise<boolean> {
    buffer.clear();
    for (;;) {
      const taken = this.#rest.subarray(0, sizeMax - buffer.sizeBytes);
      if (taken.byteLength > 0) buffer.append(taken, sizeMax);
      this.#rest = this.#rest.subarray(taken.byteLength);
      if (buffer.sizeBytes === sizeMax) return false;
      const { done, value } = await this.#body.next();
      if (done) return true;
      this.#rest = value;
    }
  }

  /** Tells the body that nothing more is read of it. */
  async close(): Promise<void> {
    await this.#body.return?.();
  }
}
