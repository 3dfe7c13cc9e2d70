import type { Random } from './random.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** What can become of a worker's connection: nothing goes through, or only one way. */
export type Cut = 'none' | 'both' | 'requests' | 'replies';

/**
 * Carries commands and replies. Each may be late, lost, or overtake another, and what was sent into a cut may still
 * arrive when the cut is over, on a connection that its sender gave up long ago.
 */
export class Network {
  readonly #clock: VirtualClock;
  readonly #random: Random;
  lossProbability = 0;
  delayMsMax = 2;
  #heldBack: (() => void)[] = [];

  constructor(clock: VirtualClock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Carries one message, or loses it. */
  carry(isCut: boolean, deliver: () => void): void {
    if (isCut) {
      if (this.#random.chance(0.3)) this.#heldBack.push(deliver);
      return;
    }
    if (this.#random.chance(this.lossProbability)) return;
    this.#clock.after(this.#random.between(0.1, this.delayMsMax), deliver);
  }

  /** Delivers, late, what was held back in a cut. */
  release(): void {
    const late = this.#heldBack;
    this.#heldBack = [];
    for (const deliver of late) this.#clock.after(this.#random.between(0, 200), deliver);
  }

  /** Loses what is held back for a server that is gone: its connections died with it. */
  forget(): void {
    this.#heldBack = [];
  }
}
