import type { Exchange } from '../envelope/exchange.ts';
import { FairShares } from '../utils/fair-shares.ts';

// A batch of about a hundred transfers. Smaller bodies cost little more than their request.
const LARGE_BYTES = 16_384;
// Together, reading, parsing, and checking them takes a few tens of milliseconds of the event loop.
const BYTES_MAX = 1_048_576;

/**
 * Bounds the bytes of large bodies in work, with a share per owner. A permit counts requests, but a batch of 1,000
 * transfers costs the event loop as much as a hundred requests, and others wait for it. Bodies that are streamed do not
 * count: they are never in memory as a whole.
 */
export class LargeBodies {
  readonly #shares = new FairShares(BYTES_MAX);

  /** Reserves the bytes of a body. Returns false if it has to wait for others of its owner, or for those of all. */
  reserve(exchange: Exchange, bytes: number): boolean {
    if (bytes <= LARGE_BYTES) return true;
    if (this.#shares.take(ownerOf(exchange), bytes) !== null) return false;
    exchange.reservedBytes = bytes;
    return true;
  }

  release(exchange: Exchange): void {
    if (exchange.reservedBytes === 0) return;
    this.#shares.release(ownerOf(exchange), exchange.reservedBytes);
    exchange.reservedBytes = 0;
  }
}

/** Requests without a key share as one owner. No owner is named like that. */
function ownerOf({ principal }: Exchange): string {
  return principal?.owner ?? '';
}
