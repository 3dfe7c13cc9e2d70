import type { EventRepository } from './repository.ts';

const OWNERS_EVENTS_MAX = 5000;
const POLL_TIMEOUT_MS = 5000;
const FAILURE_WAIT_MS = 1000;

/**
 * Polls the end of the event log: one small query for all streams of a worker, however many there are. It reports which
 * owners have new events, and their streams read them.
 */
export class EventTail {
  readonly #repository: Pick<EventRepository, 'lastPosition' | 'newsAfter'>;
  readonly #notify: (owners: readonly string[] | 'all') => void;
  readonly #onFailure: (error: unknown) => void;
  #position: number | null = null;
  #isPolling = false;
  #notBeforeMs = 0;

  constructor(
    repository: Pick<EventRepository, 'lastPosition' | 'newsAfter'>,
    notify: (owners: readonly string[] | 'all') => void,
    onFailure: (error: unknown) => void,
  ) {
    this.#repository = repository;
    this.#notify = notify;
    this.#onFailure = onFailure;
  }

  /** Polls once. Never rejects. Does nothing while another poll is running, or shortly after one failed. */
  async poll(): Promise<void> {
    if (this.#isPolling || performance.now() < this.#notBeforeMs) return;
    this.#isPolling = true;
    try {
      await this.#check(AbortSignal.timeout(POLL_TIMEOUT_MS));
    } catch (error) {
      // The position is unchanged, so events that arrive in the meantime are reported later.
      this.#notBeforeMs = performance.now() + Math.random() * FAILURE_WAIT_MS;
      this.#onFailure(error);
    } finally {
      this.#isPolling = false;
    }
  }

  async #check(signal: AbortSignal): Promise<void> {
    if (this.#position === null) {
      this.#position = await this.#repository.lastPosition(signal);
      // A stream may have read just before this first check; events in between would never be reported.
      this.#notify('all');
      return;
    }
    const news = await this.#repository.newsAfter(this.#position, OWNERS_EVENTS_MAX, signal);
    if (news === null) return;
    this.#position = news.lastPosition;
    this.#notify(news.owners);
  }
}
