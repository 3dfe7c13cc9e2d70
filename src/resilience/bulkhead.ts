import { TIERS, type Tier } from '../utils/tier.ts';

/** Maximum concurrent calls, and maximum queued calls of each tier. */
export interface BulkheadOptions {
  readonly concurrencyMax: number;
  readonly waitingMax: number;
}

/** How long a call waits in the queue. */
export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs: number;
}

interface Waiter {
  readonly admit: () => void;
  readonly refuse: (reason: unknown) => void;
}

const MOST_IMPORTANT_FIRST = TIERS.toReversed();
// Share of the slots and of the queue that non-critical calls may use.
const NON_CRITICAL_SHARE = 0.5;

/** Thrown when all slots are in use and the queue is full, or when the wait for a slot timed out. */
export class BulkheadFull extends Error {
  constructor(detail: string) {
    super(detail);
    this.name = 'BulkheadFull';
  }
}

/**
 * A bulkhead (Nygard, Release It!): bounds the calls that a slow dependency can hold. Each tier has its own FIFO queue.
 * Critical calls go before the others, and non-critical calls may use only part of the slots. A free slot goes to a
 * waiter before a new call can take it.
 */
export class Bulkhead {
  readonly #options: BulkheadOptions;
  readonly #nonCriticalMax: number;
  readonly #queues: Record<Tier, Set<Waiter>> = {
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
    return TIERS.reduce((sum, tier) => sum + this.#queues[tier].size, 0);
  }

  /**
   * Takes a slot: returns null if one was free, else a promise for one. Throws `BulkheadFull` if the queue is full. The
   * promise rejects with `BulkheadFull` at the timeout, or with the reason of the signal. `leave` releases the slot.
   */
  enter(tier: Tier, options: WaitOptions): Promise<void> | null {
    if (this.#hasRoom(tier)) {
      this.#take(tier);
      return null;
    }
    const queue = this.#queues[tier];
    const { waitingMax } = this.#options;
    const queuedMax = tier === 'non-critical' ? Math.ceil(waitingMax * NON_CRITICAL_SHARE) : waitingMax;
    if (queue.size >= queuedMax) throw new BulkheadFull(`${queue.size} calls are already queued`);
    return this.#wait(queue, options);
  }

  /** Releases a slot, which goes to the next waiter. */
  leave(tier: Tier): void {
    this.#inFlight--;
    if (tier === 'non-critical') this.#nonCritical--;
    this.#admitNext();
  }

  /** Rejects all queued calls. */
  refuseWaiting(reason: unknown): void {
    for (const tier of MOST_IMPORTANT_FIRST)
      for (const waiter of [...this.#queues[tier]]) waiter.refuse(reason);
  }

  #wait(queue: Set<Waiter>, { signal, timeoutMs }: WaitOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      const leaveQueue = () => {
        queue.delete(waiter);
        clearTimeout(timer);
        signal?.removeEventListener('abort', aborted);
      };
      const waiter: Waiter = {
        admit: () => {
          leaveQueue();
          resolve();
        },
        refuse: (reason) => {
          leaveQueue();
          reject(reason);
        },
      };
      const aborted = () => waiter.refuse(signal!.reason);
      const expired = () =>
        waiter.refuse(new BulkheadFull(`no slot became free within ${Math.round(timeoutMs)} ms`));
      const timer = setTimeout(expired, timeoutMs);
      signal?.addEventListener('abort', aborted, { once: true });
      queue.add(waiter);
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
      const [first] = this.#queues[tier];
      if (first === undefined || !this.#hasRoom(tier)) continue;
      this.#take(tier);
      first.admit();
      return;
    }
  }
}
