import type { Logger } from '../instrumentation/logger.ts';
import type { LivenessLimits, WorkerIncarnation } from './worker-incarnation.ts';

/** Kills workers that stop sending heartbeats, and workers that do not become ready in time. */
export class LivenessMonitor {
  readonly #limits: LivenessLimits;
  readonly #logger: Logger;
  #checkedMs = performance.now();

  constructor(limits: LivenessLimits, logger: Logger) {
    this.#limits = limits;
    this.#logger = logger;
  }

  /** Checks every worker; to be called once per heartbeat interval. */
  check(incarnations: readonly WorkerIncarnation[]): void {
    const nowMs = performance.now();
    const sinceLastCheckMs = nowMs - this.#checkedMs;
    this.#checkedMs = nowMs;
    for (const incarnation of incarnations) {
      const failure = incarnation.checkLiveness(sinceLastCheckMs, this.#limits);
      if (failure === null || incarnation.killedFor !== null) continue;
      const { slot, pid } = incarnation;
      if (failure === 'silence')
        this.#logger.warn({ slot, pid }, 'killing a worker that sends no heartbeats');
      else this.#logger.warn({ slot, pid }, 'killing a worker that did not become ready in time');
      incarnation.kill(failure);
    }
  }
}
