import type { Logger } from '../instrumentation/logger.ts';
import { processorTimeOf } from './processor-time.ts';
import type { KillReason, LivenessLimits, WorkerIncarnation } from './worker-incarnation.ts';

/** What the monitor needs from the supervisor. */
export interface LivenessMonitorOptions {
  readonly limits: LivenessLimits;
  readonly logger: Logger;
  /** Called at every check with the worker that has been busy for too long the longest. */
  replace(overdue: WorkerIncarnation): void;
  /** Called when a worker becomes busy, and when it is no longer. */
  onBusyChange(): void;
}

const KILLS = {
  silence: 'killing a worker that sends no heartbeats and does not compute',
  timeout: 'killing a worker that did not become ready in time',
  busy: 'killing a worker that drains and computed for too long without a heartbeat',
} as const satisfies Record<KillReason, string>;

/**
 * Kills workers that neither send heartbeats nor compute, and workers that do not become ready in time. Workers that
 * compute without a heartbeat are replaced if that takes too long.
 */
export class LivenessMonitor {
  readonly #options: LivenessMonitorOptions;
  // Bounded by the live workers: those that are gone are removed with the next check.
  #busy: readonly WorkerIncarnation[] = [];
  #checkedMs = performance.now();

  constructor(options: LivenessMonitorOptions) {
    this.#options = options;
  }

  /** Checks every worker; to be called once per heartbeat interval. */
  check(incarnations: readonly WorkerIncarnation[]): void {
    const nowMs = performance.now();
    const sinceLastCheckMs = nowMs - this.#checkedMs;
    this.#checkedMs = nowMs;
    const busy: WorkerIncarnation[] = [];
    const overdue: WorkerIncarnation[] = [];
    for (const incarnation of incarnations) {
      const { limits } = this.#options;
      const liveness = incarnation.checkLiveness(sinceLastCheckMs, limits, processorTimeOf);
      if (incarnation.killedFor !== null) continue;
      if (liveness === 'silence' || liveness === 'timeout') this.#kill(incarnation, liveness);
      else if (liveness !== 'responsive') busy.push(incarnation);
      if (liveness === 'overdue') overdue.push(incarnation);
    }
    this.#noteBusy(busy, incarnations);
    this.#endOverdue(overdue);
  }

  #kill(incarnation: WorkerIncarnation, reason: KillReason): void {
    const { slot, pid } = incarnation;
    this.#options.logger.warn({ slot, pid }, KILLS[reason]);
    incarnation.kill(reason);
  }

  #noteBusy(busy: readonly WorkerIncarnation[], live: readonly WorkerIncarnation[]): void {
    const { logger, limits, onBusyChange } = this.#options;
    const before = this.#busy;
    this.#busy = busy;
    for (const incarnation of busy) {
      if (before.includes(incarnation)) continue;
      const { slot, pid } = incarnation;
      const replacedAfterSeconds = limits.busyMaxMs / 1000;
      logger.warn({ slot, pid, replacedAfterSeconds }, 'a worker is busy and sends no heartbeats');
    }
    for (const incarnation of before) {
      if (busy.includes(incarnation) || !live.includes(incarnation) || incarnation.killedFor !== null)
        continue;
      const { slot, pid } = incarnation;
      logger.info({ slot, pid }, 'a worker that was busy sends heartbeats again');
    }
    if (busy.length !== before.length || busy.some((incarnation) => !before.includes(incarnation)))
      onBusyChange();
  }

  /** A worker that drains has its successor already, or needs none. */
  #endOverdue(overdue: readonly WorkerIncarnation[]): void {
    for (const incarnation of overdue) if (incarnation.state === 'draining') this.#kill(incarnation, 'busy');
    const [longest] = overdue
      .filter(({ state }) => state === 'ready')
      .toSorted((a, b) => b.silenceMs - a.silenceMs);
    if (longest) this.#options.replace(longest);
  }
}
