import { setSystemTime } from 'bun:test';

const TICK_MS = 20;
export const YEAR_MS = 365 * 24 * 3600 * 1000;

/**
 * Moves the wall clock of this process, as if the clock of the host were set. Other processes, such as PostgreSQL, keep
 * their time. Returns a function that restores the clock.
 */
export function jumpClock(byMs: number): () => void {
  const startedMs = Date.now() - performance.now();
  const set = () => setSystemTime(new Date(startedMs + performance.now() + byMs));
  set();
  const timer = setInterval(set, TICK_MS);
  return () => {
    clearInterval(timer);
    setSystemTime();
  };
}
