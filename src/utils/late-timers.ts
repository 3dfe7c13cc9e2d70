// The real timer usually fires by then.
const SLACK_MS = 2;

interface Entry {
  readonly dueMs: number;
  readonly fire: () => void;
}

const entries = new Set<Entry>();
let nextMs = Number.POSITIVE_INFINITY;

/**
 * Runs a function at the end of this turn of the event loop (0), or after some milliseconds, even if the loop is late.
 * Bun reads all sockets that are ready before it runs a timer, and with thousands of them busy that takes most of a
 * second. {@link runLateTimers}, called for each request, then does the work of the timer, so `run` must not throw.
 * Returns a function that cancels.
 */
export function setLateTimer(ms: number, run: () => void): () => void {
  const cancel = () => {
    if (!entries.delete(entry)) return;
    if (ms === 0) clearImmediate(timer as ReturnType<typeof setImmediate>);
    else clearTimeout(timer as ReturnType<typeof setTimeout>);
    if (entry.dueMs === nextMs) nextMs = firstDueMs();
  };
  const fire = () => {
    // A timer that fired before it, in the same pass, may have canceled it.
    if (!entries.has(entry)) return;
    cancel();
    run();
  };
  const entry: Entry = { dueMs: performance.now() + ms + SLACK_MS, fire };
  const timer = ms === 0 ? setImmediate(fire) : setTimeout(fire, ms);
  entries.add(entry);
  nextMs = Math.min(nextMs, entry.dueMs);
  return cancel;
}

/** Runs the timers that are late. `nowMs` is the monotonic clock. */
export function runLateTimers(nowMs: number): void {
  if (nowMs < nextMs) return;
  for (const entry of [...entries]) if (nowMs >= entry.dueMs) entry.fire();
}

function firstDueMs(): number {
  let first = Number.POSITIVE_INFINITY;
  for (const { dueMs } of entries) first = Math.min(first, dueMs);
  return first;
}
