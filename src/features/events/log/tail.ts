import type { EventRepository } from './repository.ts';

const OWNERS_EVENTS_MAX = 5000;
const POLL_TIMEOUT_MS = 5000;
const FAILURE_WAIT_MS = 1000;

/**
 * The end of the event log, looked at from time to time: one small query for all streams of a worker, however many
 * there are. It tells whose events have come, and who follows them reads for itself.
 */
export class EventTail {
  readonly #repository: Pick<EventRepository, 'lastPosition' | 'newsAfter'>;
  readonly #tell: (owners: readonly string[] | 'all') => void;
  readonly #onFailure: (error: unknown) => void;
  #position: number | null = null;
  #isPolling = false;
  #notBeforeMs = 0;

  constructor(
    repository: Pick<EventRepository, 'lastPosition' | 'newsAfter'>,
    tell: (owners: readonly string[] | 'all') => void,
    onFailure: (error: unknown) => void,
  ) {
    this.#repository = repository;
    this.#tell = tell;
    this.#onFailure = onFailure;
  }

  /** Looks once. Never rejects; does nothing while the look before is under way, or when one has just failed. */
  async poll(): Promise<void> {
    if (this.#isPolling || performance.now() < this.#notBeforeMs) return;
    this.#isPolling = true;
    try {
      await this.#look(AbortSignal.timeout(POLL_TIMEOUT_MS));
    } catch (error) {
      // The position stays, so what comes meanwhile is told later.
      this.#notBeforeMs = performance.now() + Math.random() * FAILURE_WAIT_MS;
      this.#onFailure(error);
    } finally {
      this.#isPolling = false;
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    if (this.#position === null) {
      this.#position = await this.#repository.lastPosition(signal);
      // Somebody may have read just before this first look, and what came in between would never be told.
      this.#tell('all');
      return;
    }
    const news = await this.#repository.newsAfter(this.#position, OWNERS_EVENTS_MAX, signal);
    if (news === null) return;
    this.#position = news.lastPosition;
    this.#tell(news.owners);
  }
}
