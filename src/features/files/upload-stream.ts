import { AtlasError } from '../../errors.ts';
import { freeBytes } from '../../utils/free-bytes.ts';
import { ChunkDigests } from './chunk-digests.ts';
import { checksumMismatch, type Digests } from './domain.ts';
import { SNIFFED_BYTES } from './file-type.ts';

/** What the bytes of an upload must turn out to be. */
export interface ExpectedBytes {
  /** Hexadecimal; each must be right. */
  readonly sha256: readonly string[];
  readonly sizeBytes?: number;
}

/**
 * Bytes of an upload on their way to the store: their beginning can be looked at before the rest is read, and they are
 * hashed while they pass. What is not as it was expected fails at the end, so that no object comes to be. A piece is
 * gone when the next one is asked for: whoever wants to keep it copies it.
 */
export class UploadStream implements AsyncIterable<Uint8Array> {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #head: Uint8Array[] = [];
  readonly #expected: ExpectedBytes;
  readonly #count: (sizeBytes: number) => void;
  readonly #hashing = new ChunkDigests();
  #digests: Digests | null = null;

  /** `count` is told of the bytes of each piece as it passes. */
  constructor(
    source: AsyncIterable<Uint8Array>,
    expected: ExpectedBytes,
    count: (sizeBytes: number) => void = () => {},
  ) {
    this.#source = source[Symbol.asyncIterator]();
    this.#expected = expected;
    this.#count = count;
  }

  /** Reads as much as the type of a file is told by, or all there is. */
  async head(): Promise<Uint8Array> {
    let length = 0;
    while (length < SNIFFED_BYTES) {
      const { done, value } = await this.#source.next();
      if (done) break;
      length += value.byteLength;
      this.#head.push(value);
    }
    return Buffer.concat(this.#head, length);
  }

  /** What passed. Only there when all of it has. */
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
      // Who asks for the next piece has copied this one.
      freeBytes(value);
    }
    const digests = this.#hashing.end();
    requireExpected(digests, this.#expected);
    this.#digests = digests;
  }

  /** Has the sender stop, unless everything was read. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  #pass(piece: Uint8Array): void {
    this.#hashing.add(piece);
    this.#count(piece.byteLength);
    const { sizeBytes } = this.#expected;
    if (sizeBytes !== undefined && this.#hashing.sizeBytes > sizeBytes)
      throw checksumMismatch(`More than the announced ${sizeBytes} bytes came.`);
  }
}

/** Throws `checksum_mismatch` where the bytes are not what was expected of them. */
export function requireExpected({ sizeBytes, sha256 }: Digests, expected: ExpectedBytes): void {
  if (expected.sizeBytes !== undefined && sizeBytes !== expected.sizeBytes)
    throw checksumMismatch(`${expected.sizeBytes} bytes were announced, and ${sizeBytes} came.`);
  const found = Buffer.from(sha256).toString('hex');
  if (expected.sha256.some((digest) => digest !== found))
    throw checksumMismatch(`The SHA-256 of the ${sizeBytes} bytes that came is ${found}.`);
}

export function emptyFile(): AtlasError {
  return new AtlasError('body_missing', 'Send the bytes of the file as the body; a file has at least one.');
}
