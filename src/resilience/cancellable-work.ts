import { CallTimeout } from './adaptive-timeout.ts';

/** How work ended, from the caller's point of view. */
export type Ending = 'returned' | 'threw' | 'expired' | 'aborted' | 'killed';

/** Bounds of the work, and callbacks for its outcome. */
export interface WorkLimits {
  readonly name: string;
  readonly limitMs: number;
  readonly signal: AbortSignal | undefined;
  /** Contains the work until it settles for its caller. */
  readonly running: Set<RunningWork>;
  /** Called once, when the work settles for its caller, with the error if there is one. */
  onSettled(ending: Ending, durationMs: number, error?: unknown): void;
  /** Called once, when the work has ended, or when it did not end in time after it was canceled. */
  onEnded(wasAbandoned: boolean): void;
}

/** Work in progress. */
export interface RunningWork {
  /** Rejects for the caller immediately, and cancels the work. */
  kill(reason: unknown): void;
}

/** `canceled`: settled for the caller, but the work itself has not ended yet. */
type WorkState = 'running' | 'canceled' | 'ended';

// Time for canceled work to end: longer than a cancellation and the cleanup take.
const ABANDON_MS = 5000;

/**
 * Starts work that is canceled at its time limit, when the signal aborts, or by `kill`. The result settles at that
 * moment. The work is canceled through its own signal and gets a bounded time to end.
 */
export function startWork<T>(
  work: (signal: AbortSignal) => PromiseLike<T>,
  { name, limitMs, signal, running, onSettled, onEnded }: WorkLimits,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const controller = new AbortController();
  const startMs = performance.now();
  let state: WorkState = 'running';
  let abandoning: Timer | undefined;

  const settle = (ending: Ending, error?: unknown) => {
    running.delete(handle);
    clearTimeout(timer);
    signal?.removeEventListener('abort', aborted);
    onSettled(ending, performance.now() - startMs, error);
  };
  const end = (wasAbandoned: boolean) => {
    if (state === 'ended') return;
    state = 'ended';
    clearTimeout(abandoning);
    onEnded(wasAbandoned);
  };
  const cancel = (ending: Ending, reason: unknown) => {
    if (state !== 'running') return;
    state = 'canceled';
    settle(ending, reason);
    abandoning = setTimeout(end, ABANDON_MS, true);
    abandoning.unref();
    reject(reason);
    controller.abort(reason);
  };
  const aborted = () => cancel('aborted', signal!.reason);
  const expired = () => cancel('expired', new CallTimeout(name, limitMs));
  // One turn later, because after a stall of this process, responses that arrived in time are read only then.
  const timer = setTimeout(() => setImmediate(expired), limitMs);
  signal?.addEventListener('abort', aborted, { once: true });
  const handle: RunningWork = { kill: (reason) => cancel('killed', reason) };
  running.add(handle);

  start(work, controller.signal).then(
    (value) => {
      const isAwaited = state === 'running';
      end(false);
      if (!isAwaited) return;
      settle('returned');
      resolve(value);
    },
    (error) => {
      const isAwaited = state === 'running';
      end(false);
      if (!isAwaited) return;
      settle('threw', error);
      reject(error);
    },
  );
  return promise;
}

/** Turns a synchronous throw into a rejection. */
function start<T>(work: (signal: AbortSignal) => PromiseLike<T>, signal: AbortSignal): PromiseLike<T> {
  try {
    return work(signal);
  } catch (error) {
    return Promise.reject(error);
  }
}
