import type { Logger } from '../instrumentation/logger.ts';
import type { WorkerIncarnation } from './worker-incarnation.ts';
import type { WorkerSlot } from './worker-slot.ts';

/** What a replacement needs from the supervisor. */
export interface ReplacementOptions {
  readonly slots: readonly WorkerSlot[];
  readonly logger: Logger;
  isStopping(): boolean;
  startIncarnation(slot: WorkerSlot): WorkerIncarnation;
  /** Drains a worker whose successor is ready. Resolves when it has exited. */
  retire(old: WorkerIncarnation): Promise<void>;
}

interface Rolling {
  readonly kind: 'rolling';
  /** Whether another round was requested since this one started. */
  again: boolean;
  /** Resolves when the last requested round is done. */
  done: Promise<void>;
}

/** Replaces all workers, one slot after the other: start the successor, wait until it is ready, drain the old one. */
export class RollingReplacement {
  readonly #options: ReplacementOptions;
  #state: { readonly kind: 'idle' } | Rolling = { kind: 'idle' };

  constructor(options: ReplacementOptions) {
    this.#options = options;
  }

  /** Runs a round. All requests that arrive during a round share the one after it. */
  run(): Promise<void> {
    if (this.#state.kind === 'rolling') {
      this.#state.again = true;
      return this.#state.done;
    }
    const rolling: Rolling = { kind: 'rolling', again: false, done: Promise.resolve() };
    this.#state = rolling;
    rolling.done = this.#runRounds(rolling).finally(() => {
      this.#state = { kind: 'idle' };
    });
    return rolling.done;
  }

  async #runRounds(rolling: Rolling): Promise<void> {
    const { slots, logger, isStopping } = this.#options;
    do {
      rolling.again = false;
      logger.info('replacing workers one at a time');
      for (const slot of slots) {
        if (isStopping() || (await this.#replace(slot))) continue;
        logger.error({ slot: slot.index }, 'rolling replacement aborted: the new worker failed to start');
        return;
      }
      logger.info('all workers replaced');
    } while (rolling.again && !isStopping());
  }

  /** Returns false if the successor could not start; the old worker then stays. */
  async #replace(slot: WorkerSlot): Promise<boolean> {
    const old = slot.incarnations.at(-1);
    if (old?.state !== 'ready') return true;
    const successor = this.#options.startIncarnation(slot);
    if (!(await successor.ready)) return this.#options.isStopping();
    await this.#options.retire(old);
    return true;
  }
}
