import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 10;
const NANOSECONDS = 1e6;

/**
 * Starts monitoring the event loop. The returned function gives the mean delay since its last call, in milliseconds.
 */
export function eventLoopDelayMs(): () => number {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  return () => {
    // Without observations the mean is NaN.
    const meanMs = delays.mean / NANOSECONDS;
    delays.reset();
    return Number.isFinite(meanMs) ? meanMs : 0;
  };
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
