import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 10;
const NANOSECONDS = 1e6;

/**
 * Starts to watch the event loop. The function answers how late it was on average since the last call, in milliseconds.
 */
export function eventLoopDelayMs(): () => number {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  return () => {
    // Without an observation the mean is not a number.
    const meanMs = delays.mean / NANOSECONDS;
    delays.reset();
    return Number.isFinite(meanMs) ? meanMs : 0;
  };
}
