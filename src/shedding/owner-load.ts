import type { Principal } from '../envelope/exchange.ts';
import { partyOf } from '../utils/party.ts';

const KEYS_MAX = 4096;
// Per update: keys that were not seen before and may be invented, which authentication has yet to find out.
const UNKNOWN_MAX = 8;
// An owner counts as present for one to two of these after its last request in work.
const PRESENT_MS = 1000;

/**
 * The requests in work by owner. When a limit is reached, it says which requests are of an owner that uses less than an
 * equal part. The owner of a key is learned when it was authenticated, so a forged key counts toward nobody.
 */
export class OwnerLoad {
  readonly #inFlight = new Map<string, number>();
  readonly #ownerOfKey = new Map<string, string>();
  /** Owners that had requests in work since the last turn of these sets, and in the time before it. */
  #present = new Set<string>();
  #presentBefore = new Set<string>();
  #turnsAtMs = 0;
  #total = 0;
  #unknownLeft = UNKNOWN_MAX;

  enter(principal: Principal): void {
    const owner = partyOf(principal);
    const { keyId } = principal;
    this.#total++;
    this.#present.add(owner);
    this.#inFlight.set(owner, (this.#inFlight.get(owner) ?? 0) + 1);
    if (this.#ownerOfKey.has(keyId)) return;
    if (this.#ownerOfKey.size === KEYS_MAX) this.#ownerOfKey.delete(this.#ownerOfKey.keys().next().value!);
    this.#ownerOfKey.set(keyId, owner);
  }

  leave(owner: string): void {
    this.#total--;
    const left = this.#inFlight.get(owner)! - 1;
    if (left > 0) this.#inFlight.set(owner, left);
    else this.#inFlight.delete(owner);
  }

  /** Whether the owner would have no more than an equal part with one more request, while others have more. */
  isModest(owner: string): boolean {
    const inFlight = this.#inFlight.get(owner);
    const owners = this.#inFlight.size + (inFlight === undefined ? 1 : 0);
    return ((inFlight ?? 0) + 1) * owners <= this.#total;
  }

  /** The same for the owner of a key that is not authenticated yet. A few keys that are unknown count as modest. */
  isModestKey(keyIdOf: () => string | null): boolean {
    if (this.#total === 0) return false;
    const keyId = keyIdOf();
    if (keyId === null) return false;
    const owner = this.#ownerOfKey.get(keyId);
    if (owner !== undefined) return this.isModest(owner);
    return this.#unknownLeft-- > 0;
  }

  /** Whether other owners had requests in work recently. */
  hasOthers(owner: string): boolean {
    return [this.#present, this.#presentBefore].some((owners) => owners.size > (owners.has(owner) ? 1 : 0));
  }

  /** Call it at intervals of some tens of milliseconds. */
  update(nowMs: number): void {
    this.#unknownLeft = UNKNOWN_MAX;
    if (nowMs < this.#turnsAtMs) return;
    this.#turnsAtMs = nowMs + PRESENT_MS;
    this.#presentBefore = this.#present;
    this.#present = new Set();
  }
}
