import { createHash } from 'node:crypto';
import { CHUNK_BYTES } from '../../utils/chunk-bytes.ts';
import { limitConcurrencyByOwner } from '../../utils/concurrency.ts';
import { DIGEST_BYTES, type Digests } from './domain.ts';

const sha256 = () => createHash('sha256');

/** Hashes bytes as they stream by, as a whole and by chunk. Retains 32 bytes per chunk. */
export class ChunkDigests {
  readonly #whole = sha256();
  #chunk = sha256();
  #inChunk = 0;
  #digests = new Uint8Array(64 * DIGEST_BYTES);
  #count = 0;
  sizeBytes = 0;

  add(bytes: Uint8Array): void {
    this.#whole.update(bytes);
    this.sizeBytes += bytes.byteLength;
    for (let at = 0; at < bytes.byteLength; ) {
      const part = bytes.subarray(at, at + CHUNK_BYTES - this.#inChunk);
      this.#chunk.update(part);
      this.#inChunk += part.byteLength;
      at += part.byteLength;
      if (this.#inChunk === CHUNK_BYTES) this.#endChunk();
    }
  }

  /** Returns the digests. Call once, after the last byte. */
  end(): Digests {
    if (this.#inChunk > 0) this.#endChunk();
    return {
      sizeBytes: this.sizeBytes,
      sha256: this.#whole.digest(),
      chunks: this.#digests.slice(0, this.#count * DIGEST_BYTES),
    };
  }

  #endChunk(): void {
    if ((this.#count + 1) * DIGEST_BYTES > this.#digests.byteLength) {
      const larger = new Uint8Array(this.#digests.byteLength * 2);
      larger.set(this.#digests);
      this.#digests = larger;
    }
    this.#digests.set(this.#chunk.digest(), this.#count * DIGEST_BYTES);
    this.#count++;
    this.#chunk = sha256();
    this.#inChunk = 0;
  }
}

/** Whether the bytes of a chunk match its digest. */
export type ChunkCheck = (owner: string, bytes: Uint8Array, digest: Uint8Array) => Promise<boolean>;

/**
 * Creates a check that hashes one chunk per turn of the event loop, which takes most of a millisecond; owners take
 * turns. Without it, everybody waits in each turn until all downloads have hashed a chunk. Its callers are bounded.
 */
export function createChunkCheck(): ChunkCheck {
  const inTurn = limitConcurrencyByOwner(1);
  return (owner, bytes, digest) =>
    inTurn(owner, async () => {
      const matches = sha256().update(bytes).digest().equals(digest);
      await new Promise(setImmediate);
      return matches;
    });
}
