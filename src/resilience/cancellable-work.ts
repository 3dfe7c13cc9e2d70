import { CallTimeout } from './adaptive-timeout.ts';

/** How work ended for whoever waits for it. */
export type Ending = 'answered' | 'threw' | 'expired' | 'aborted' | 'died';

/** What work is held to, and who is told of it. */
export interface WorkLimits {
  readonly name: string;
  readonly limitMs: number;
  readonly signal: AbortSignal | undefined;
  /** Holds the work until its caller was told how it ended. */
  readonly among: Set<RunningWork>;
  /** Told once, when the caller is: with the error, where there is one. */
  settled(ending: Ending, durationMs: number, error?: unknown): void;
  /** Told once, when the work has ended by itself, or did not though it was told to. */
  ended(wasAbandoned: boolean): void;
}

/** Work that is under way. */
export interface RunningWork {
  /** Has its caller told at once that it came to nothing, and the work too. */
  die(reason: unknown): void;
}

/** Canceled: its caller has the outcome, and the work has not ended yet. */
type WorkState = 'running' | 'canceled' | 'ended';

// For work to end after it was told to: longer than a cancel takes, and than tidying up what was begun.
const ABANDON_MS = 5000;

/**
 * Starts work that is given up at its limit, at the abort of the signal, or when told to. The result settles at that
 * moment; the work hears of it through its own signal, and what it still does is waited for, but not for ever.
 */
export function startWork<T>(
  work: (signal: AbortSignal) => PromiseLike<T>,
  { name, limitMs, signal, among, settled, ended }: WorkLimits,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const controller = new AbortController();
  const startMs = performance.now();
  let state: WorkState = 'running';
  let abandoning: Timer | undefined;

  const settle = (ending: Ending, error?: unknown) => {
    among.delete(running);
    clearTimeout(timer);
    signal?.removeEventListener('abort', aborted);
    settled(ending, performance.now() - startMs, error);
  };
  const end = (wasAbandoned: boolean) => {
    if (state === 'ended') return;
    state = 'ended';
    clearTimeout(abandoning);
    ended(wasAbandoned);
  };
  const giveUp = (ending: Ending, reason: unknown) => {
    if (state !== 'running') return;
    state = 'canceled';
    settle(ending, reason);
    abandoning = setTimeout(end, ABANDON_MS, true);
    abandoning.unref();
    reject(reason);
    controller.abort(reason);
  };
  const aborted = () => giveUp('aborted', signal!.reason);
  const expired = () => giveUp('expired', new CallTimeout(name, limitMs));
  // One turn later: after a stall of this process, what has arrived in time is read only then.
  const timer = setTimeout(() => setImmediate(expired), limitMs);
  signal?.addEventListener('abort', aborted, { once: true });
  const running: RunningWork = { die: (reason) => giveUp('died', reason) };
  among.add(running);

  begin(work, controller.signal).then(
    (value) => {
      const isAwaited = state === 'running';
      end(false);
      if (!isAwaited) return;
      settle('answered');
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

/** What work throws before it begins to wait counts like what it throws later. */
function begin<T>(work: (signal: AbortSignal) => PromiseLike<T>, signal: AbortSignal): PromiseLike<T> {
  try {
    return work(signal);
  } catch (error) {
    return Promise.reject(error);
  }
}
