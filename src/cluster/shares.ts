/** A share that a worker must be told. Infinity: nothing but its lease bounds it. */
export interface ShareChange {
  readonly slot: number;
  readonly incarnation: number;
  readonly permits: number;
}

/** What a worker says of its share in a heartbeat. */
export interface ShareReport {
  /** How many of the shares that it was told it has applied. */
  readonly applied: number;
  readonly inFlight: number;
  /** Whether it still takes new requests. */
  readonly accepting: boolean;
}

interface Holder {
  readonly incarnation: number;
  /** The share it has applied, as far as is known, and after it those that it was told since. */
  shares: number[];
  /** How many of the shares that it was told it has applied. */
  applied: number;
  inFlight: number;
  accepting: boolean;
}

/**
 * Splits the permits of the host over its slots, so that the sum never exceeds the cap, not while a worker is replaced
 * either. The old worker of a slot first gives up half; the new one gets what the old one has shown to have given up,
 * and the rest as what the old one has in flight ends. A worker holds the most of what it has applied, what it was
 * told since, and what it has in flight: whatever is under way may be what it admits by at this moment.
 */
export class Shares {
  readonly #cap: number;
  readonly #bounded: boolean;
  readonly #slots: Holder[][];

  /** `bounded` is false where leases of Redis rule: then a share binds only while two workers have one slot. */
  constructor(cap: number, slots: number, bounded: boolean) {
    this.#cap = cap;
    this.#bounded = bounded;
    this.#slots = Array.from({ length: slots }, () => []);
  }

  /** The permits of one slot. What does not divide goes to the first ones. */
  ofSlot(slot: number): number {
    const slots = this.#slots.length;
    return Math.floor(this.#cap / slots) + (slot < this.#cap % slots ? 1 : 0);
  }

  /** A worker has come, which holds nothing before it is told. */
  join(slot: number, incarnation: number): ShareChange[] {
    this.#slots[slot]!.push({ incarnation, shares: [0], applied: 0, inFlight: 0, accepting: true });
    return this.#settle(slot);
  }

  /** A worker said what it has applied and what it has in flight. */
  report(slot: number, incarnation: number, { applied, inFlight, accepting }: ShareReport): ShareChange[] {
    const holder = this.#slots[slot]!.find((known) => known.incarnation === incarnation);
    if (!holder) return [];
    holder.shares.splice(0, applied - holder.applied);
    holder.applied = applied;
    holder.inFlight = inFlight;
    holder.accepting = accepting;
    return this.#settle(slot);
  }

  /** A worker is gone, and nothing of it is in flight. */
  leave(slot: number, incarnation: number): ShareChange[] {
    this.#slots[slot] = this.#slots[slot]!.filter((known) => known.incarnation !== incarnation);
    return this.#settle(slot);
  }

  #settle(slot: number): ShareChange[] {
    const whole = this.ofSlot(slot);
    const holders = this.#slots[slot]!;
    const changes: ShareChange[] = [];
    const tell = (holder: Holder, permits: number) => {
      if (holder.shares.at(-1) === permits) return;
      holder.shares.push(permits);
      changes.push({ slot, incarnation: holder.incarnation, permits });
    };
    let free = whole;
    for (const [index, holder] of holders.entries()) {
      const newest = index === holders.length - 1;
      if (newest) {
        tell(holder, holders.length === 1 && !this.#bounded ? Infinity : Math.max(0, free));
      } else {
        const half = Math.floor(whole / 2 ** (index + 1));
        tell(holder, holder.accepting ? Math.max(0, Math.min(half, free)) : 0);
        free -= Math.min(whole, Math.max(holder.inFlight, ...holder.shares));
      }
    }
    return changes;
  }
}
