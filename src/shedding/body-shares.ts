import type { Exchange } from '../envelope/exchange.ts';
import { FairShares } from '../utils/fair-shares.ts';
import { partyOf } from '../utils/party.ts';

// A batch of about a hundred transfers. Smaller bodies cost little more than their request.
const LARGE_BYTES = 16_384;
// One owner alone may have half in work, which is more than the queue of the ledger takes of its batches.
const LARGE_BYTES_MAX = 2_097_152;
// While the loop is late and others are present, an owner may send large bodies at 4 MB/s: reading and validating them
// then takes a small part of the loop's time, even if all are refused in the end.
const PACED_BYTES_PER_MS = 4096;

/**
 * Bounds what the bodies of an owner take from others: the bytes of large ones, in work at once and over time while the
 * loop is late, and the permits held while a body has not arrived. A permit counts requests, but a batch of 1,000
 * transfers costs the event loop as much as a hundred, and a client decides how long its body takes. Streamed bodies do
 * not count: the route that reads them bounds them.
 */
export class BodyShares {
  readonly #large = new FairShares(LARGE_BYTES_MAX);
  /** Bytes of large bodies that an owner has yet to wait for. Has nothing of an owner that may send. */
  readonly #debts = new Map<string, number>();
  readonly #isPaced: (owner: string) => boolean;
  #arrivingMax = 0;
  readonly #arriving = new FairShares(() => this.#arrivingMax);

  /** `isPaced` returns whether the time of an owner must be bounded now. */
  constructor(isPaced: (owner: string) => boolean = () => false) {
    this.#isPaced = isPaced;
  }

  /** Whether the bytes of a body could be reserved now. Before it arrives they are not: it may never do. */
  hasRoom(exchange: Exchange, bytes: number): boolean {
    if (bytes <= LARGE_BYTES) return true;
    const owner = ownerOf(exchange);
    return !(this.#debts.has(owner) && this.#isPaced(owner)) && this.#large.check(owner, bytes) === null;
  }

  /**
   * Reserves the bytes of a body that has arrived. Returns false if its owner has its share, or all is in use, or if it
   * is paced and has used its part of the time: work that does not wait for anything is never seen in flight.
   */
  reserveBytes(exchange: Exchange, bytes: number): boolean {
    if (!this.hasRoom(exchange, bytes)) return false;
    if (bytes <= LARGE_BYTES) return true;
    const owner = ownerOf(exchange);
    this.#large.take(owner, bytes);
    if (this.#isPaced(owner)) this.#debts.set(owner, bytes);
    exchange.reservedBytes = bytes;
    return true;
  }

  /** Call it at intervals of some tens of milliseconds. */
  update(elapsedMs: number): void {
    for (const [owner, bytes] of this.#debts) {
      const left = bytes - elapsedMs * PACED_BYTES_PER_MS;
      if (left > 0) this.#debts.set(owner, left);
      else this.#debts.delete(owner);
    }
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
  return principal === null ? '' : partyOf(principal);
}
