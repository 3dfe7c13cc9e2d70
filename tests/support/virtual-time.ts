import { jest } from 'bun:test';

const STEP_MS = 10;

/** Runs a test in virtual time: timers and the monotonic clock move only by {@link pass}. */
export async function inVirtualTime(work: () => Promise<void>): Promise<void> {
  jest.useFakeTimers();
  try {
    await work();
  } finally {
    jest.useRealTimers();
  }
}

/** Lets virtual time pass, and what follows from each timer happen before the next one. */
export async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= STEP_MS) {
    jest.advanceTimersByTime(Math.min(STEP_MS, left));
    await settled();
  }
}

/** Waits until everything has happened that needs no time. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
}
