import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 10;
const NANOSECONDS = 1e6;

/** Monitors the delay of the event loop for two readers, because the timer is most of what an idle worker does. */
export class LoopDelays {
  readonly #delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #count = 0;
  #sum = 0;
  #longest = 0;

  constructor() {
    this.#delays.enable();
  }

  /** Returns the mean delay since the last call, in milliseconds. */
  readonly takeMeanMs = (): number => {
    this.#collect();
    const mean = this.#count === 0 ? 0 : this.#sum / this.#count;
    this.#count = 0;
    this.#sum = 0;
    return mean / NANOSECONDS;
  };

  /** Returns the longest delay since the last call, in milliseconds. */
  takeLongestMs(): number {
    this.#collect();
    const longest = this.#longest;
    this.#longest = 0;
    return longest / NANOSECONDS;
  }

  /** Takes the observations out of the histogram, for both readers. */
  #collect(): void {
    const { count, mean, max } = this.#delays;
    // Without observations the mean is NaN.
    if (count === 0) return;
    this.#count += count;
    this.#sum += mean * count;
    this.#longest = Math.max(this.#longest, max);
    this.#delays.reset();
  }
}

/**
 * Returns a function that returns whether the event loop is still in the turn of its last call. Bun reads all sockets
 * that are ready in one turn, and under overload that takes most of a second, in which no delay is measured either.
 */
export function sameTurn(): () => boolean {
  let hasEnded = true;
  return () => {
    const isSame = !hasEnded;
    hasEnded = false;
    setImmediate(() => {
      hasEnded = true;
    });
    return isSame;
  };
}
