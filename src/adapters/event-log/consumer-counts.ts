import type { ConsumerStats } from './event-log.ts';
import type { Applied } from './inbox.ts';

type Mutable = { -readonly [K in keyof ConsumerStats]: ConsumerStats[K] };

/** Counts what the consumers of this process do. The code names all consumers, so the labels are bounded. */
export class ConsumerCounts {
  readonly #byConsumer = new Map<string, Mutable>();

  #of(consumer: string): Mutable {
    let counts = this.#byConsumer.get(consumer);
    if (counts === undefined) {
      counts = { consumer, handled: 0, repeated: 0, recovered: 0, undecodable: 0, failures: 0, lag: 0 };
      this.#byConsumer.set(consumer, counts);
    }
    return counts;
  }

  add(consumer: string, { handled, repeated, recovered }: Applied): void {
    const counts = this.#of(consumer);
    counts.handled += handled;
    counts.repeated += repeated;
    counts.recovered += recovered;
  }

  addUndecodable(consumer: string): void {
    this.#of(consumer).undecodable++;
  }

  fail(consumer: string): void {
    this.#of(consumer).failures++;
  }

  setLag(consumer: string, lag: number): void {
    this.#of(consumer).lag = lag;
  }

  stats(): readonly ConsumerStats[] {
    return [...this.#byConsumer.values()].map((counts) => ({ ...counts }));
  }
}
