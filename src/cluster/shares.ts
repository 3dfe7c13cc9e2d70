/** A new share, to be sent to a worker. Infinity: only its lease limits it. */
export interface ShareChange {
  readonly slot: number;
  readonly incarnation: number;
  readonly permits: number;
}

/** What a worker reports about its share in a heartbeat. */
export interface ShareReport {
  /** How many of the shares sent to it are applied. */
  readonly applied: number;
  readonly inFlight: number;
  /** Whether it still accepts requests. */
  readonly accepting: boolean;
}

interface Holder {
  readonly incarnation: number;
  /** The last share it has confirmed, followed by those sent since. */
  shares: number[];
  /** How many of the shares sent to it are applied. */
  applied: number;
  inFlight: number;
  accepting: boolean;
}

/**
 * Splits the permits of the host among its slots so that the sum never exceeds the cap, not even while a worker is
 * replaced. The old worker of a slot first releases half; its successor gets what the old one has confirmed, and the
 * rest as requests of the old one finish. A worker counts with the maximum of the share it has confirmed, the shares
 * sent since and its requests in flight, since any of them may be the limit it applies right now.
 */
export class Shares {
  readonly #cap: number;
  readonly #bounded: boolean;
  readonly #slots: Holder[][];

  /** `bounded` is false if Redis leases limit workers: a share then applies only while two workers have one slot. */
  constructor(cap: number, slots: number, bounded: boolean) {
    this.#cap = cap;
    this.#bounded = bounded;
    this.#slots = Array.from({ length: slots }, () => []);
  }

  /** Returns the permits of a slot. The remainder of the division goes to the first slots. */
  ofSlot(slot: number): number {
    const slots = this.#slots.length;
    return Math.floor(this.#cap / slots) + (slot < this.#cap % slots ? 1 : 0);
  }

  /** Adds a worker. It has no permits until a share is sent to it. */
  join(slot: number, incarnation: number): ShareChange[] {
    this.#slots[slot]!.push({ incarnation, shares: [0], applied: 0, inFlight: 0, accepting: true });
    return this.#rebalance(slot);
  }

  /** Records the report of a worker. */
  report(slot: number, incarnation: number, { applied, inFlight, accepting }: ShareReport): ShareChange[] {
    const holder = this.#slots[slot]!.find((other) => other.incarnation === incarnation);
    if (!holder) return [];
    holder.shares.splice(0, applied - holder.applied);
    holder.applied = applied;
    holder.inFlight = inFlight;
    holder.accepting = accepting;
    return this.#rebalance(slot);
  }

  /** Removes a worker that has exited. */
  leave(slot: number, incarnation: number): ShareChange[] {
    this.#slots[slot] = this.#slots[slot]!.filter((other) => other.incarnation !== incarnation);
    return this.#rebalance(slot);
  }

  #rebalance(slot: number): ShareChange[] {
    const total = this.ofSlot(slot);
    const holders = this.#slots[slot]!;
    const changes: ShareChange[] = [];
    const assign = (holder: Holder, permits: number) => {
      if (holder.shares.at(-1) === permits) return;
      holder.shares.push(permits);
      changes.push({ slot, incarnation: holder.incarnation, permits });
    };
    let free = total;
    for (const [index, holder] of holders.entries()) {
      const isNewest = index === holders.length - 1;
      if (isNewest) {
        assign(holder, holders.length === 1 && !this.#bounded ? Infinity : Math.max(0, free));
      } else {
        const half = Math.floor(total / 2 ** (index + 1));
        assign(holder, holder.accepting ? Math.max(0, Math.min(half, free)) : 0);
        free -= Math.min(total, Math.max(holder.inFlight, ...holder.shares));
      }
    }
    return changes;
  }
}
