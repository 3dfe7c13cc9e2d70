import { sleep } from '../../utils/sleep.ts';
import { ConsumerCounts } from '../event-log/consumer-counts.ts';
import type { ConsumerStats, EventConsumer, EventHandler } from '../event-log/event-log.ts';
import { GroupMember, type GroupMemberOptions } from './kafka-group-member.ts';

const RETRY_MS = 1000;

/**
 * Consumers of the topic. Their positions are in PostgreSQL, committed with the effects of the events; the offsets in
 * Kafka are hints for its tools.
 */
export class KafkaConsumer implements EventConsumer {
  readonly #options: GroupMemberOptions;
  readonly #counts = new ConsumerCounts();

  constructor(options: GroupMemberOptions) {
    this.#options = options;
  }

  stats(): readonly ConsumerStats[] {
    return this.#counts.stats();
  }

  async run(consumer: string, handle: EventHandler, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const member = new GroupMember(consumer, handle, this.#options, this.#counts);
      const { error, isUnavailable } = await member.run(signal);
      if (signal.aborted) return;
      this.#counts.fail(consumer);
      // Failures of the handler and of PostgreSQL are for the caller to handle.
      if (!isUnavailable) throw error;
      this.#options.onTrouble(error, `consumer ${consumer} cannot read from Kafka; retrying`);
      await sleep(RETRY_MS, signal);
    }
  }
}
