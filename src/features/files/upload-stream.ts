import { AtlasError } from '../../errors.ts';
import { freeBytes } from '../../utils/free-bytes.ts';
import { ChunkDigests } from './chunk-digests.ts';
import { checksumMismatch, type Digests } from './domain.ts';
import { SNIFFED_BYTES } from './file-type.ts';

/** What the bytes of an upload must match. */
export interface ExpectedBytes {
  /** Hexadecimal; all must match. */
  readonly sha256: readonly string[];
  readonly sizeBytes?: number;
}

/**
 * The bytes of an upload on their way to the store. The head can be read first, and everything is hashed as it passes.
 * If the bytes are not as expected the iteration throws at its end, so that no object is created. A piece is freed when
 * the next one is requested: copy it to retain it.
 */
export class UploadStream implements AsyncIterable<Uint8Array> {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #head: Uint8Array[] = [];
  readonly #expected: ExpectedBytes;
  readonly #count: (sizeBytes: number) => void;
  readonly #hashing = new ChunkDigests();
  #digests: Digests | null = null;

  /** `count` receives the size of each piece as it passes. */
  constructor(
    source: AsyncIterable<Uint8Array>,
    expected: ExpectedBytes,
    count: (sizeBytes: number) => void = () => {},
  ) {
    this.#source = source[Symbol.asyncIterator]();
    this.#expected = expected;
    this.#count = count;
  }

  /** Waits for the first bytes, or for the end of an empty body. */
  async begin(): Promise<void> {
    const { done, value } = await this.#source.next();
    if (!done) this.#head.push(value);
  }

  /** Reads the bytes that the type is detected from, or fewer if the file is shorter. */
  async head(): Promise<Uint8Array> {
    let length = this.#head.reduce((sum, piece) => sum + piece.byteLength, 0);
    while (length < SNIFFED_BYTES) {
      const { done, value } = await this.#source.next();
      if (done) break;
      length += value.byteLength;
      this.#head.push(value);
    }
    return Buffer.concat(this.#head, length);
  }

  /** The digests of all bytes. Throws before the stream has been read to its end. */
  get digests(): Digests {
    if (this.#digests === null) throw new TypeError('the upload has not been read to its end');
    return this.#digests;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (let piece = this.#head.shift(); piece !== undefined; piece = this.#head.shift()) {
      this.#pass(piece);
      yield piece;
      freeBytes(piece);
    }
    for (;;) {
      const { done, value } = await this.#source.next();
      if (done) break;
      this.#pass(value);
      yield value;
      // The consumer has copied this piece before it requests the next one.
      freeBytes(value);
    }
    const digests = this.#hashing.end();
    requireExpected(digests, this.#expected);
    this.#digests = digests;
  }

  /** Cancels the body, unless it was read to its end. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  #pass(piece: Uint8Array): void {
    this.#hashing.add(piece);
    this.#count(piece.byteLength);
    const { sizeBytes } = this.#expected;
    if (sizeBytes !== undefined && this.#hashing.sizeBytes > sizeBytes)
      throw checksumMismatch(`Received more than the declared ${sizeBytes} bytes.`);
  }
}

/** Throws `checksum_mismatch` if the bytes are not as expected. */
export function requireExpected({ sizeBytes, sha256 }: Digests, expected: ExpectedBytes): void {
  if (expected.sizeBytes !== undefined && sizeBytes !== expected.sizeBytes)
    throw checksumMismatch(`Received ${sizeBytes} bytes instead of the declared ${expected.sizeBytes}.`);
  const actual = Buffer.from(sha256).toString('hex');
  if (expected.sha256.some((digest) => digest !== actual))
    throw checksumMismatch(`The SHA-256 of the ${sizeBytes} bytes received is ${actual}.`);
}

export function emptyFile(): AtlasError {
  return new AtlasError('body_missing', 'The body is empty. Send the bytes of the file, at least one.');
}
