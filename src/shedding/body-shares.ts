import type { Exchange } from '../envelope/exchange.ts';
import { FairShares } from '../utils/fair-shares.ts';

// A batch of about a hundred transfers. Smaller bodies cost little more than their request.
const LARGE_BYTES = 16_384;
// One owner alone may have half in work, which is more than the queue of the ledger takes of its batches.
const LARGE_BYTES_MAX = 2_097_152;

/**
 * Bounds what the bodies of an owner take from others: the bytes of large ones, and the permits held while a body has
 * not arrived. A permit counts requests, but a batch of 1,000 transfers costs the event loop as much as a hundred, and
 * a client decides how long its body takes. Streamed bodies do not count: the route that reads them bounds them.
 */
export class BodyShares {
  readonly #large = new FairShares(LARGE_BYTES_MAX);
  #arrivingMax = 0;
  readonly #arriving = new FairShares(() => this.#arrivingMax);

  /** Whether the bytes of a body could be reserved now. Before it arrives they are not: it may never do. */
  hasRoom(exchange: Exchange, bytes: number): boolean {
    return bytes <= LARGE_BYTES || this.#large.check(ownerOf(exchange), bytes) === null;
  }

  /** Reserves the bytes of a body that has arrived. Returns false if its owner has its share, or all is in use. */
  reserveBytes(exchange: Exchange, bytes: number): boolean {
    if (bytes <= LARGE_BYTES) return true;
    if (this.#large.take(ownerOf(exchange), bytes) !== null) return false;
    exchange.reservedBytes = bytes;
    return true;
  }

  /** Notes that a body is read, of which `max` may be at once. Returns false if its owner has its share of them. */
  startArriving(exchange: Exchange, max: number): boolean {
    this.#arrivingMax = max;
    if (this.#arriving.take(ownerOf(exchange)) !== null) return false;
    exchange.isArriving = true;
    return true;
  }

  /** Notes that the body has arrived, or that nobody waits for it any more. */
  endArriving(exchange: Exchange): void {
    if (!exchange.isArriving) return;
    exchange.isArriving = false;
    this.#arriving.release(ownerOf(exchange));
  }

  /** Releases everything that the body holds. */
  release(exchange: Exchange): void {
    this.endArriving(exchange);
    if (exchange.reservedBytes === 0) return;
    this.#large.release(ownerOf(exchange), exchange.reservedBytes);
    exchange.reservedBytes = 0;
  }
}

/** Requests without a key share as one owner. No owner is named like that. */
function ownerOf({ principal }: Exchange): string {
  return principal?.owner ?? '';
}
