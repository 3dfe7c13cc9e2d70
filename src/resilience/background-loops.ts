import { sleep } from '../utils/sleep.ts';

const WAIT_MS_MIN = 100;

/** Work that runs until it is stopped. */
export interface BackgroundLoop {
  readonly name: string;
  /** Runs until the signal aborts, then completes work in progress and resolves. Restarted if it ends earlier. */
  run(signal: AbortSignal): Promise<void>;
}

/** Backoff between restarts of a failing loop, in seconds (RETRY_*). */
export interface LoopBackoff {
  readonly RETRY_MULTIPLIER: number;
  readonly RETRY_MIN_WAIT: number;
  readonly RETRY_MAX_WAIT: number;
  readonly RETRY_JITTER: boolean;
}

/** Keeps loops running between `start` and `stop`, each independently of the others. */
export class BackgroundLoops {
  readonly #loops: readonly BackgroundLoop[];
  readonly #backoff: LoopBackoff;
  readonly #onFailure: (name: string, error: unknown) => void;
  #controller: AbortController | null = null;
  #running: Promise<unknown> = Promise.resolve();

  constructor(
    loops: readonly BackgroundLoop[],
    backoff: LoopBackoff,
    onFailure: (name: string, error: unknown) => void,
  ) {
    this.#loops = loops;
    this.#backoff = backoff;
    this.#onFailure = onFailure;
  }

  /** Starts the loops, after any previous run of them has ended. */
  start(): void {
    if (this.#controller !== null) return;
    const controller = new AbortController();
    this.#controller = controller;
    const before = this.#running;
    this.#running = before.then(() =>
      Promise.all(this.#loops.map((loop) => this.#keepRunning(loop, controller.signal))),
    );
  }

  /** Stops the loops, and resolves once all have ended. */
  async stop(): Promise<void> {
    this.#controller?.abort();
    this.#controller = null;
    await this.#running;
  }

  async #keepRunning({ name, run }: BackgroundLoop, signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted; ) {
      const startMs = performance.now();
      try {
        await run(signal);
        if (!signal.aborted) throw new Error('the loop ended unexpectedly');
      } catch (error) {
        if (signal.aborted) return;
        const { RETRY_MAX_WAIT } = this.#backoff;
        failures = performance.now() - startMs > RETRY_MAX_WAIT * 1000 ? 1 : failures + 1;
        this.#onFailure(name, error);
        await sleep(this.#waitMs(failures), signal);
      }
    }
  }

  #waitMs(failures: number): number {
    const { RETRY_MULTIPLIER, RETRY_MIN_WAIT, RETRY_MAX_WAIT, RETRY_JITTER } = this.#backoff;
    const seconds = Math.min(RETRY_MAX_WAIT, RETRY_MIN_WAIT * RETRY_MULTIPLIER ** (failures - 1));
    // Even with little jitter or backoff, a loop that fails immediately must not starve the worker.
    return Math.max(WAIT_MS_MIN, seconds * 1000 * (RETRY_JITTER ? Math.random() : 1));
  }
}
