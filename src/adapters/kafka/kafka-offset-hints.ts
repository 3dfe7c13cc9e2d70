/**
 * Commits the offsets of a consumer to Kafka in the background: the latest of each partition, one request at a time.
 * Kafka's tools show them, and their absence tells a new topic from the old one. Failures are ignored.
 */
export class KafkaOffsetHints {
  readonly #commit: (offsets: ReadonlyMap<number, number>) => Promise<void>;
  #latest = new Map<number, number>();
  #state: 'idle' | 'committing' | 'closed' = 'idle';

  constructor(commit: (offsets: ReadonlyMap<number, number>) => Promise<void>) {
    this.#commit = commit;
  }

  /** Notes the offset of the next message to read from the partition. */
  add(partition: number, offset: number): void {
    if (this.#state === 'closed') return;
    this.#latest.set(partition, offset);
    if (this.#state === 'idle') void this.#commitAll();
  }

  /** Drops what is not yet committed. A request in flight is not awaited. */
  close(): void {
    this.#state = 'closed';
    this.#latest.clear();
  }

  async #commitAll(): Promise<void> {
    this.#state = 'committing';
    while (this.#latest.size > 0) {
      const offsets = this.#latest;
      this.#latest = new Map();
      await this.#commit(offsets).catch(() => {});
    }
    this.#finish();
  }

  #finish(): void {
    if (this.#state === 'committing') this.#state = 'idle';
  }
}
