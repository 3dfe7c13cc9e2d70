import { TIERS, type Tier } from '../utils/tier.ts';

/** How many calls at a time, and how many may wait for one of each tier. */
export interface BulkheadOptions {
  readonly concurrencyMax: number;
  readonly waitingMax: number;
}

/** Until when somebody waits in line. */
export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs: number;
}

interface Waiter {
  readonly admit: () => void;
  readonly refuse: (reason: unknown) => void;
}

const MOST_IMPORTANT_FIRST = TIERS.toReversed();
// Of the slots and of the places in line, what can wait may have a half.
const NON_CRITICAL_SHARE = 0.5;

/** Why a call was not made: as many run as may, and as many wait as may, or it waited for as long as it could. */
export class BulkheadFull extends Error {
  constructor(detail: string) {
    super(detail);
    this.name = 'BulkheadFull';
  }
}

/**
 * A bulkhead (Nygard, Release It!): one dependency that is slow holds so many calls and no more. Each tier waits in a
 * line of its own, first come first served; critical calls go before the others, and non-critical ones may fill only a
 * part. A slot that is free is given to a waiter before anybody new can take it.
 */
export class Bulkhead {
  readonly #options: BulkheadOptions;
  readonly #nonCriticalMax: number;
  readonly #lines: Record<Tier, Set<Waiter>> = {
    critical: new Set(),
    default: new Set(),
    'non-critical': new Set(),
  };
  #inFlight = 0;
  #nonCritical = 0;

  constructor(options: BulkheadOptions) {
    this.#options = options;
    this.#nonCriticalMax = Math.max(1, Math.floor(options.concurrencyMax * NON_CRITICAL_SHARE));
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get waiting(): number {
    return TIERS.reduce((sum, tier) => sum + this.#lines[tier].size, 0);
  }

  /**
   * Takes a slot: null when it was free, else a promise of it. Throws `BulkheadFull` when the line is full; the promise
   * rejects with that when patience ends, or with the reason of the signal. Each slot is given back by `leave`.
   */
  enter(tier: Tier, patience: WaitOptions): Promise<void> | null {
    if (this.#hasRoom(tier)) {
      this.#take(tier);
      return null;
    }
    const line = this.#lines[tier];
    const { waitingMax } = this.#options;
    const placesMax = tier === 'non-critical' ? Math.ceil(waitingMax * NON_CRITICAL_SHARE) : waitingMax;
    if (line.size >= placesMax) throw new BulkheadFull(`${line.size} calls wait already`);
    return this.#wait(line, patience);
  }

  /** Gives a slot back, to whoever waits first. */
  leave(tier: Tier): void {
    this.#inFlight--;
    if (tier === 'non-critical') this.#nonCritical--;
    this.#admitNext();
  }

  /** Sends everybody away who waits. */
  refuseWaiting(reason: unknown): void {
    for (const tier of MOST_IMPORTANT_FIRST)
      for (const waiter of [...this.#lines[tier]]) waiter.refuse(reason);
  }

  #wait(line: Set<Waiter>, { signal, timeoutMs }: WaitOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      const leaveLine = () => {
        line.delete(waiter);
        clearTimeout(timer);
        signal?.removeEventListener('abort', aborted);
      };
      const waiter: Waiter = {
        admit: () => {
          leaveLine();
          resolve();
        },
        refuse: (reason) => {
          leaveLine();
          reject(reason);
        },
      };
      const aborted = () => waiter.refuse(signal!.reason);
      const tired = () =>
        waiter.refuse(new BulkheadFull(`no slot became free in ${Math.round(timeoutMs)} ms`));
      const timer = setTimeout(tired, timeoutMs);
      signal?.addEventListener('abort', aborted, { once: true });
      line.add(waiter);
    });
  }

  #hasRoom(tier: Tier): boolean {
    if (this.#inFlight >= this.#options.concurrencyMax) return false;
    return tier !== 'non-critical' || this.#nonCritical < this.#nonCriticalMax;
  }

  #take(tier: Tier): void {
    this.#inFlight++;
    if (tier === 'non-critical') this.#nonCritical++;
  }

  #admitNext(): void {
    for (const tier of MOST_IMPORTANT_FIRST) {
      const [first] = this.#lines[tier];
      if (first === undefined || !this.#hasRoom(tier)) continue;
      this.#take(tier);
      first.admit();
      return;
    }
  }
}
