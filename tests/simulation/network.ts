import type { Random } from './random.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** Which directions of a worker's connection are cut. */
export type Cut = 'none' | 'both' | 'requests' | 'replies';

/**
 * Carries commands and replies. Each may be late, lost, or overtake another. A message sent during a cut may still
 * arrive after it, on a connection that its sender has long dropped.
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

  /** Delivers the messages held back during a cut, late. */
  release(): void {
    const late = this.#heldBack;
    this.#heldBack = [];
    for (const deliver of late) this.#clock.after(this.#random.between(0, 200), deliver);
  }

  /** Drops the messages held back for a crashed server, whose connections died with it. */
  drop(): void {
    this.#heldBack = [];
  }
}
