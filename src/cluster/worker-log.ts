import type { Logger } from '../instrumentation/logger.ts';
import type { DecisionCount, RefusalMonitor } from './refusal-monitor.ts';

/** Logs when a worker loses Redis, when Redis is back, and that requests are refused. */
export class WorkerLog {
  readonly #logger: Logger;
  readonly #refusals: RefusalMonitor;
  #redis: 'unknown' | 'available' | 'unavailable' = 'unknown';

  constructor(logger: Logger, refusals: RefusalMonitor) {
    this.#logger = logger;
    this.#refusals = refusals;
  }

  /** Logs what has changed, given the permit mode and the counters of admission; to be called at every heartbeat. */
  update(mode: string, decisions: readonly DecisionCount[]): void {
    this.#updateMode(mode);
    const refused = this.#refusals.sample(decisions, performance.now());
    if (refused) this.#logger.warn({ refused }, 'requests are refused to shed load');
  }

  #updateMode(mode: string): void {
    if (mode === 'floor') {
      if (this.#redis !== 'unavailable')
        this.#logger.warn('Redis is unavailable: this worker uses its fallback share of the cap');
      this.#redis = 'unavailable';
    } else if (mode === 'fresh') {
      if (this.#redis === 'unavailable') this.#logger.info('Redis is available again: workers share the cap');
      this.#redis = 'available';
    }
  }
}
