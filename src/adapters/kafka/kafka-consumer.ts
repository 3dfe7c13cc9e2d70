import type { Kafka } from 'kafkajs';
import { sleep } from '../../utils/sleep.ts';
import { ConsumerCounts } from '../event-log/consumer-counts.ts';
import type { ConsumerStats, EventConsumer, EventHandler } from '../event-log/event-log.ts';
import type { Incarnation } from '../postgres/incarnation.ts';
import { GroupMember, type GroupMemberOptions } from './kafka-group-member.ts';
import { clientIdOf } from './kafka-lost-members.ts';

const RETRY_MS = 1000;

export interface KafkaConsumerOptions extends Omit<GroupMemberOptions, 'client' | 'clientId'> {
  /** Creates a client of the brokers with this client id. */
  readonly createClient: (clientId: string) => Kafka;
  readonly incarnation: Pick<Incarnation, 'hold' | 'deadAmong'>;
}

/**
 * Consumers of the topic. Their positions are in PostgreSQL, committed with the effects of the events; the offsets in
 * Kafka are hints for its tools.
 */
export class KafkaConsumer implements EventConsumer {
  readonly #options: KafkaConsumerOptions;
  readonly #counts = new ConsumerCounts();
  #memberships = 0;

  constructor(options: KafkaConsumerOptions) {
    this.#options = options;
  }

  stats(): readonly ConsumerStats[] {
    return this.#counts.stats();
  }

  async run(consumer: string, handle: EventHandler, signal: AbortSignal): Promise<void> {
    const incarnation = await this.#options.incarnation.hold();
    while (!signal.aborted) {
      const clientId = clientIdOf(incarnation, ++this.#memberships);
      const options = { ...this.#options, client: this.#options.createClient(clientId), clientId };
      const member = new GroupMember(consumer, handle, options, this.#counts);
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
