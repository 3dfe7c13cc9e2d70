import { orAbort } from '../utils/or-abort.ts';
import { CallTimeout } from './adaptive-timeout.ts';

const PROBE_TIMEOUT_MS = 1000;
const STEPS = 10;

/** A cheap request that shows whether a dependency is available. Concurrent callers share one request. */
export class Probe {
  readonly #name: string;
  readonly #request: (signal: AbortSignal) => Promise<unknown>;
  #pending: Promise<number> | null = null;

  constructor(name: string, request: (signal: AbortSignal) => Promise<unknown>) {
    this.#name = name;
    this.#request = request;
  }

  /** Returns the latency in milliseconds. Rejects with the failure, or with `CallTimeout` after a second. */
  ping(): Promise<number> {
    this.#pending ??= this.#measure().finally(() => {
      this.#pending = null;
    });
    return this.#pending;
  }

  async #measure(): Promise<number> {
    const controller = new AbortController();
    // In steps, so that a stall of this process counts as one step: the response may have arrived during it.
    let steps = 0;
    const timer = setInterval(() => {
      if (++steps >= STEPS) controller.abort(new CallTimeout(`a probe of ${this.#name}`, PROBE_TIMEOUT_MS));
    }, PROBE_TIMEOUT_MS / STEPS);
    const startMs = performance.now();
    try {
      await orAbort(this.#request(controller.signal), controller.signal);
      return performance.now() - startMs;
    } finally {
      clearInterval(timer);
    }
  }
}
