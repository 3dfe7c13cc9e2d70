import { HEARTBEAT_MS } from './messages.ts';

// What a worker still did after its last message was before the next check.
const STANDSTILL_SLACK_MS = 2 * HEARTBEAT_MS;

/** How long a worker may be silent. */
export interface SilenceLimits {
  /** If its processor time does not move. */
  readonly silenceMaxMs: number;
  /** If its processor time moves. */
  readonly busyMaxMs: number;
}

/**
 * Whether a worker sends messages (`responsive`), computes for so long that it cannot (`busy`, then `overdue`), or does
 * nothing at all (`dead`).
 */
export type Responsiveness = 'responsive' | 'busy' | 'overdue' | 'dead';

/**
 * Distinguishes a worker that is busy from one that is dead. Both are silent, and only the processor time of the dead
 * one stands still. Killing busy workers would move their load to the others, which then fall silent too.
 */
export class Silence {
  #silenceMs = 0;
  #standstillMs = 0;
  #processorTime: number | null = null;
  #state: Responsiveness = 'responsive';

  /** As of the last check or message. */
  get state(): Responsiveness {
    return this.#state;
  }

  get silenceMs(): number {
    return this.#silenceMs;
  }

  /** The worker has sent a message. */
  end(): void {
    this.#silenceMs = 0;
    this.#state = 'responsive';
  }

  /**
   * Updates the state. `elapsedMs` is the time since the last check, as far as it counts. A worker whose processor time
   * is unknown (null) counts as standing still.
   */
  check(
    elapsedMs: number,
    processorTime: number | null,
    { silenceMaxMs, busyMaxMs }: SilenceLimits,
  ): Responsiveness {
    this.#silenceMs += elapsedMs;
    this.#standstillMs = processorTime === this.#processorTime ? this.#standstillMs + elapsedMs : 0;
    this.#processorTime = processorTime;
    if (this.#silenceMs <= silenceMaxMs) this.#state = 'responsive';
    else if (processorTime === null || this.#standstillMs > silenceMaxMs - STANDSTILL_SLACK_MS)
      this.#state = 'dead';
    else this.#state = this.#silenceMs > busyMaxMs ? 'overdue' : 'busy';
    return this.#state;
  }
}
