import { setSystemTime } from 'bun:test';

const TICK_MS = 20;
export const YEAR_MS = 365 * 24 * 3600 * 1000;

/**
 * Moves the wall clock of this process and has it go on from there, as when somebody sets the clock of a host. What
 * runs in other processes, such as PostgreSQL, keeps its time. Answers how to set it right again.
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
