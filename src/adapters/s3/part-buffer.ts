import { freeBytes } from '../../utils/free-bytes.ts';

const MIB = 1_048_576;
const FIRST_BYTES = 65_536;
/** The most parts that S3 allows in one object. */
export const PARTS_MAX = 10_000;

/**
 * Returns the size of a part by its number, counted from 1: 5 MiB, the minimum of S3, up to 2.7 GiB of an object, and
 * more after that, so that 10,000 parts hold the maximum of 5 TiB. The size of a body is not known in advance.
 */
export function partBytes(number: number): number {
  return 5 * MIB * Math.ceil((number / 550) ** 2);
}

/** A buffer for one part. It grows on demand, because most files are much smaller than a part. */
export class PartBuffer {
  #bytes = new Uint8Array(0);
  #filled = 0;

  get sizeBytes(): number {
    return this.#filled;
  }

  /** The bytes in the buffer; valid until the next change. */
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

/** Splits a body into parts. Copies each chunk of the body before it requests the next one. */
export class PartReader {
  readonly #body: AsyncIterator<Uint8Array>;
  #rest = new Uint8Array(0) as Uint8Array;

  constructor(body: AsyncIterable<Uint8Array>) {
    this.#body = body[Symbol.asyncIterator]();
  }

  /** Fills the buffer up to the size. Returns whether the body has ended. Throws what the body throws. */
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

  /** Ends the body early. */
  async close(): Promise<void> {
    await this.#body.return?.();
  }
}
