import type { Kafka, Message, Producer } from 'kafkajs';
import type { Dependency } from '../../resilience/dependency.ts';
import type { AtlasEvent } from '../../utils/event.ts';
import { orAbort } from '../../utils/or-abort.ts';
import { BatchRefused, type EventPublisher, type Rejection } from '../event-log/event-log.ts';
import { isFenced, isRefused, kafkaErrorType } from './kafka-errors.ts';
import { explained } from './kafka-fault.ts';
import { type EncodedEvent, toMessage } from './kafka-message.ts';
import { partitionOf } from './kafka-partitioner.ts';
import { ensureTopic } from './kafka-topic.ts';

// A request has one record batch per partition, and all records may belong to the same partition.
const REQUEST_BYTES_MAX = 524_288;
const REQUEST_MS_MAX = 10_000;
// The broker aborts an abandoned transaction after this; readers wait for it until then.
const TRANSACTION_MS_MAX = 30_000;
const CLOSE_MS_MAX = 1000;
const FENCED =
  'Another relay publishes to this topic now. If this repeats, another deployment uses the same KAFKA_TOPIC_PREFIX.';

export interface KafkaPublisherOptions {
  readonly client: Kafka;
  readonly dependency: Dependency;
  readonly topic: string;
  /** Opening a publisher fences earlier ones with the same id. */
  readonly transactionalId: string;
}

/**
 * Publishes events to a topic, each call in one transaction (KIP-98). After any failure the producer is discarded: its
 * sequence numbers may differ from those of the broker, and it would then lose messages silently.
 */
export class KafkaPublisher implements EventPublisher {
  readonly #options: KafkaPublisherOptions;
  #producer: Producer | null = null;
  #messageBytesMax = Number.POSITIVE_INFINITY;

  constructor(options: KafkaPublisherOptions) {
    this.#options = options;
  }

  open(signal: AbortSignal): Promise<void> {
    return this.#call('open', (within) => this.#open(within), signal);
  }

  publish(events: readonly AtlasEvent[], signal: AbortSignal): Promise<readonly Rejection[]> {
    return this.#call('publish', (within) => this.#publish(events, within), signal);
  }

  async close(): Promise<void> {
    const producer = this.#producer;
    this.#producer = null;
    if (producer === null) return;
    // Disconnecting waits for responses that may never come.
    await Promise.race([producer.disconnect().catch(() => {}), Bun.sleep(CLOSE_MS_MAX)]);
  }

  async #call<T>(
    operation: string,
    work: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    try {
      return await this.#options.dependency.call(operation, work, { signal });
    } catch (error) {
      throw explained(error);
    }
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
      // An abandoned open fences nobody, and leaves no connection.
      if (signal.aborted) return producer.disconnect();
      // The first transaction requests a new epoch (InitProducerId), which fences all other producers.
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
      if (isRefused(error)) throw new BatchRefused(`Kafka rejected it: ${kafkaErrorType(error)}`, error);
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

  /** Packs the events into requests. Rejects those that are too large, and skips later events of their keys. */
  #encode(events: readonly AtlasEvent[]) {
    const rejections: Rejection[] = [];
    const skippedKeys = new Set<string>();
    const requests: Message[][] = [];
    let sizeBytes = Number.POSITIVE_INFINITY;
    for (const [index, event] of events.entries()) {
      if (skippedKeys.has(event.key)) continue;
      const encoded: EncodedEvent = toMessage(event);
      if (encoded.sizeBytes > this.#messageBytesMax) {
        skippedKeys.add(event.key);
        const reason = `too large for the topic: ${encoded.sizeBytes} of ${this.#messageBytesMax} bytes`;
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
