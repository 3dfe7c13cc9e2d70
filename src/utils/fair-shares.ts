/** Why nothing is granted: the owner has its share, or all of it is in use. */
export type ShareRefusal = 'share' | 'full';

/**
 * Divides something limited among owners: each may have as much as it leaves to the others (dynamic thresholds:
 * Choudhury and Hahne, 1998). One alone gets half, two get a third each, and something is left for the next.
 * Has nothing of an owner that holds nothing.
 */
export class FairShares {
  readonly #max: () => number;
  readonly #held = new Map<string, number>();
  #used = 0;

  /** `max` may change. */
  constructor(max: number | (() => number)) {
    this.#max = typeof max === 'number' ? () => max : max;
  }

  get used(): number {
    return this.#used;
  }

  /** How much an owner holds. */
  held(owner: string): number {
    return this.#held.get(owner) ?? 0;
  }

  /** Returns why the owner would not get the amount now, or null. */
  check(owner: string, amount = 1): ShareRefusal | null {
    const free = this.#max() - this.#used;
    if (free <= 0) return 'full';
    const held = this.held(owner);
    return held > 0 && held + amount > free ? 'share' : null;
  }

  /** Returns null if the owner got the amount. The first of an owner may be larger than what is left. */
  take(owner: string, amount = 1): ShareRefusal | null {
    const refusal = this.check(owner, amount);
    if (refusal !== null) return refusal;
    this.#held.set(owner, this.held(owner) + amount);
    this.#used += amount;
    return null;
  }

  /** Returns an amount that the owner took. */
  release(owner: string, amount = 1): void {
    const left = this.#held.get(owner)! - amount;
    if (left > 0) this.#held.set(owner, left);
    else this.#held.delete(owner);
    this.#used -= amount;
  }
}
