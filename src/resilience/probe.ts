import { orAbort } from '../utils/or-abort.ts';
import { CallTimeout } from './adaptive-timeout.ts';

const PROBE_TIMEOUT_MS = 1000;
const STEPS = 10;

/** A cheap question that shows whether a dependency is there. One is out at a time: who asks meanwhile shares it. */
export class Probe {
  readonly #name: string;
  readonly #ask: (signal: AbortSignal) => Promise<unknown>;
  #pending: Promise<number> | null = null;

  constructor(name: string, ask: (signal: AbortSignal) => Promise<unknown>) {
    this.#name = name;
    this.#ask = ask;
  }

  /** Milliseconds until the answer. Rejects with what went wrong, or with `CallTimeout` after a second. */
  ping(): Promise<number> {
    this.#pending ??= this.#askInTime().finally(() => {
      this.#pending = null;
    });
    return this.#pending;
  }

  async #askInTime(): Promise<number> {
    const controller = new AbortController();
    // In steps, so that a stall of this process is one step and not the end: the answer may have come meanwhile.
    let steps = 0;
    const timer = setInterval(() => {
      if (++steps >= STEPS) controller.abort(new CallTimeout(`a probe of ${this.#name}`, PROBE_TIMEOUT_MS));
    }, PROBE_TIMEOUT_MS / STEPS);
    const startMs = performance.now();
    try {
      await orAbort(this.#ask(controller.signal), controller.signal);
      return performance.now() - startMs;
    } finally {
      clearInterval(timer);
    }
  }
}
