import type { Kafka, Message, Producer } from 'kafkajs';
import type { Dependency } from '../../resilience/dependency.ts';
import type { AtlasEvent } from '../../utils/event.ts';
import { orAbort } from '../../utils/or-abort.ts';
import { BatchRefused, type EventPublisher, type Rejection } from '../event-log/event-log.ts';
import { isFenced, isRefused, kafkaErrorType } from './kafka-errors.ts';
import { type EncodedEvent, toMessage } from './kafka-message.ts';
import { partitionOf } from './kafka-partitioner.ts';
import { ensureTopic } from './kafka-topic.ts';

// One request of the library holds one batch of records for each partition, and all may go to the same one.
const REQUEST_BYTES_MAX = 524_288;
const REQUEST_MS_MAX = 10_000;
// A transaction that nobody ends is ended by the broker after this; readers wait for it until then.
const TRANSACTION_MS_MAX = 30_000;
const CLOSE_MS_MAX = 1000;
const FENCED =
  'Somebody else sends to this topic now. If that goes on, it is another deployment with the same KAFKA_TOPIC_PREFIX.';

/** What a publisher is made of. */
export interface KafkaPublisherOptions {
  readonly client: Kafka;
  readonly dependency: Dependency;
  readonly topic: string;
  /** Everyone who opens a publisher with the same one fences those before. */
  readonly transactionalId: string;
}

/**
 * Sends events to a topic, each call in one transaction (KIP-98). After any failure the producer is thrown away: it may
 * have counted messages that the broker has not, or the other way round, and would then lose some without a word.
 */
export class KafkaPublisher implements EventPublisher {
  readonly #options: KafkaPublisherOptions;
  #producer: Producer | null = null;
  #messageBytesMax = Number.POSITIVE_INFINITY;

  constructor(options: KafkaPublisherOptions) {
    this.#options = options;
  }

  open(signal: AbortSignal): Promise<void> {
    return this.#options.dependency.call('open', (within) => this.#open(within), { signal });
  }

  publish(events: readonly AtlasEvent[], signal: AbortSignal): Promise<readonly Rejection[]> {
    return this.#options.dependency.call('publish', (within) => this.#publish(events, within), { signal });
  }

  async close(): Promise<void> {
    const producer = this.#producer;
    this.#producer = null;
    if (producer === null) return;
    // It waits for answers that may never come.
    await Promise.race([producer.disconnect().catch(() => {}), Bun.sleep(CLOSE_MS_MAX)]);
  }

  async #open(signal: AbortSignal): Promise<void> {
    const { client, topic, transactionalId } = this.#options;
    await this.close();
    const producer = client.producer({
      createPartitioner:
        () =>
        ({ message, partitionMetadata }) =>
          partitionOf(String(message.key), partitionMetadata.length),
      transactionalId,
      transactionTimeout: TRANSACTION_MS_MAX,
      allowAutoTopicCreation: false,
    });
    this.#producer = producer;
    const begin = async () => {
      const { messageBytesMax } = await ensureTopic(client, topic);
      this.#messageBytesMax = messageBytesMax ?? Number.POSITIVE_INFINITY;
      signal.throwIfAborted();
      await producer.connect();
      // Who was given up meanwhile fences nobody any more, and keeps no connection.
      if (signal.aborted) return producer.disconnect();
      // The first transaction asks for a new epoch (InitProducerId), which is what fences everybody else.
      await (await producer.transaction()).abort();
    };
    try {
      await orAbort(begin(), signal);
    } catch (error) {
      void this.close();
      throw error;
    }
  }

  async #publish(events: readonly AtlasEvent[], signal: AbortSignal): Promise<readonly Rejection[]> {
    const producer = this.#producer;
    if (producer === null) throw new Error('The publisher is not open.');
    const { requests, rejections } = this.#encode(events);
    if (requests.length === 0) return rejections;
    try {
      await orAbort(this.#transact(producer, requests, signal), signal);
      return rejections;
    } catch (error) {
      void this.close();
      if (isRefused(error)) throw new BatchRefused(`Kafka refuses it: ${kafkaErrorType(error)}`, error);
      throw isFenced(error) ? new Error(FENCED, { cause: error }) : error;
    }
  }

  async #transact(
    producer: Producer,
    requests: readonly (readonly Message[])[],
    signal: AbortSignal,
  ): Promise<void> {
    const transaction = await producer.transaction();
    for (const messages of requests) {
      signal.throwIfAborted();
      await transaction.send({
        topic: this.#options.topic,
        messages: messages as Message[],
        timeout: REQUEST_MS_MAX,
      });
    }
    signal.throwIfAborted();
    await transaction.commit();
  }

  /** Leaves out what is too large, with all that comes after it for its key, and packs the rest into requests. */
  #encode(events: readonly AtlasEvent[]) {
    const rejections: Rejection[] = [];
    const stopped = new Set<string>();
    const requests: Message[][] = [];
    let sizeBytes = Number.POSITIVE_INFINITY;
    for (const [index, event] of events.entries()) {
      if (stopped.has(event.key)) continue;
      const encoded: EncodedEvent = toMessage(event);
      if (encoded.sizeBytes > this.#messageBytesMax) {
        stopped.add(event.key);
        const reason = `it is too large for the topic: ${encoded.sizeBytes} of ${this.#messageBytesMax} bytes`;
        rejections.push({ index, reason });
        continue;
      }
      sizeBytes += encoded.sizeBytes;
      if (sizeBytes > Math.min(REQUEST_BYTES_MAX, this.#messageBytesMax)) {
        requests.push([]);
        sizeBytes = encoded.sizeBytes;
      }
      requests.at(-1)!.push(encoded.message);
    }
    return { requests, rejections };
  }
}
