import { sleep } from './sleep.ts';

/** `pending`: woken while nobody slept, so that the next sleep is short. */
type State = { readonly is: 'idle' } | { readonly is: 'pending' } | { readonly is: 'asleep'; end(): void };

const IDLE: State = { is: 'idle' };

/** A sleep that can be cut short. */
export class WakeUp {
  #state: State = IDLE;

  /** Ends the current sleep, or shortens the next one to its minimum. */
  wake(): void {
    if (this.#state.is === 'asleep') this.#state.end();
    else this.#state = { is: 'pending' };
  }

  /** Sleeps for `minMs`, and then until it is woken, `maxMs` have passed, or the signal aborts. */
  async sleep(minMs: number, maxMs: number, signal: AbortSignal): Promise<void> {
    await sleep(minMs, signal);
    if (this.#state.is === 'idle' && maxMs > minMs && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const end = () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', end);
          resolve();
        };
        const timer = setTimeout(end, maxMs - minMs);
        signal.addEventListener('abort', end, { once: true });
        this.#state = { is: 'asleep', end };
      });
    }
    this.#state = IDLE;
  }
}
