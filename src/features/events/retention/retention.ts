import type { Logger } from '../../../instrumentation/logger.ts';
import { throttle } from '../../../utils/throttle.ts';
import type { RetentionRepository } from './repository.ts';

const ROWS_MAX = 2000;
const RUN_MS_MAX = 50_000;
const REPORT_MS = 3_600_000;
// Parked events were never sent, so operators have this long to act, however short the retention is.
const PARKED_DAYS_MIN = 30;

/** Dependencies of {@link EventRetention}. */
export interface RetentionOptions {
  readonly repository: RetentionRepository;
  readonly days: number;
  readonly logger: Logger;
}

/** What the retention of this process has done since it started. */
export interface RetentionStats {
  readonly forgotten: number;
  /** Parked events that were deleted without having been sent. */
  readonly forgottenParked: number;
  /** How long the oldest event is past its retention, because a consumer has not read it; 0 if it is not. */
  readonly overdueSeconds: number;
}

/** Deletes events after their retention, in steps that leave PostgreSQL half of the time to everything else. */
export class EventRetention {
  readonly #options: RetentionOptions;
  readonly #reportUnread: (facts: object) => void;
  #forgotten = 0;
  #forgottenParked = 0;
  #overdueSeconds = 0;
  #isRunning = false;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#reportUnread = throttle(REPORT_MS, (facts) =>
      options.logger.warn(
        facts,
        'events are kept past their retention, because a consumer has not read them',
      ),
    );
  }

  stats(): RetentionStats {
    return {
      forgotten: this.#forgotten,
      forgottenParked: this.#forgottenParked,
      overdueSeconds: this.#overdueSeconds,
    };
  }

  /** Runs until nothing is left to delete, but for less than a minute, and not while it is running. */
  async run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    const endMs = performance.now() + RUN_MS_MAX;
    try {
      for (let hasMore = true; hasMore && performance.now() < endMs; ) {
        const startMs = performance.now();
        const [events, parked] = [await this.#forget(), await this.#forgetParked()];
        hasMore = events || parked;
        if (hasMore) await Bun.sleep(performance.now() - startMs);
      }
    } finally {
      this.#isRunning = false;
    }
  }

  /** Deletes one batch of events. Returns whether there may be more. */
  async #forget(): Promise<boolean> {
    const { repository, days } = this.#options;
    const { forgotten, overdueSeconds, unreadBy } = await repository.forget(days, ROWS_MAX);
    this.#forgotten += forgotten;
    // Another host deletes events now, and reports what is overdue.
    this.#overdueSeconds = overdueSeconds ?? 0;
    if (unreadBy !== null) this.#reportUnread({ consumer: unreadBy, overdueSeconds });
    return forgotten === ROWS_MAX;
  }

  /** Deletes one batch of parked events. Returns whether there may be more. */
  async #forgetParked(): Promise<boolean> {
    const { repository, days, logger } = this.#options;
    const parked = await repository.forgetParked(Math.max(days, PARKED_DAYS_MIN), ROWS_MAX);
    if (parked === null) return false;
    this.#forgottenParked += parked.forgotten;
    // Not as `key`: the logger would mask that.
    const { parkedKey: eventKey, firstSequence, lastSequence } = parked;
    logger.error(
      { eventKey, firstSequence, lastSequence },
      'parked events were deleted after their retention, and never sent',
    );
    return true;
  }
}
