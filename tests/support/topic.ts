import { Kafka, logLevel } from 'kafkajs';
import { kafkaErrorType } from '../../src/adapters/kafka/kafka-errors.ts';
import type { CloudEvent } from '../../src/utils/event.ts';
import { until } from './until.ts';

/** A message of the event topic. */
export type SentEvent = CloudEvent & { readonly owner: string; readonly partition: number };

/** Repeats a request about a topic that was just created until each of its partitions has a leader. */
export function untilLed<T extends object>(request: () => Promise<T>): Promise<T> {
  const attempt = () =>
    request().catch((error) => {
      if (kafkaErrorType(error) === 'NOT_LEADER_FOR_PARTITION') return null;
      throw error;
    });
  return until(attempt, { what: 'a leader for each partition' }) as Promise<T>;
}

const READ_MS_MAX = 120_000;
let readers = 0;

/** Returns all committed events of a topic, in order within each partition. */
export async function readTopic(brokers: string, topic: string): Promise<SentEvent[]> {
  const kafka = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  const offsets = await untilLed(() => admin.fetchTopicOffsets(topic));
  await admin.disconnect();
  // A transaction ends with a marker, so the last offset of a partition is never that of a message.
  const open = new Map(
    offsets.flatMap(({ partition, low, high }) => (low === high ? [] : [[partition, Number(high) - 1]])),
  );
  const events: SentEvent[] = [];
  if (open.size === 0) return events;
  const consumer = kafka.consumer({ groupId: `reader-${process.pid}-${++readers}`, maxWaitTimeInMs: 100 });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const tooLate = setTimeout(
    () => reject(new Error(`The topic ${topic} was not read within ${READ_MS_MAX} ms.`)),
    READ_MS_MAX,
  );
  consumer.on(consumer.events.CRASH, ({ payload: { error, restart } }) => {
    // A broker that has just started loads its groups, and the library retries.
    if (!restart) reject(error);
  });
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload: { partition, lastOffset } }) => {
    if (Number(lastOffset) >= (open.get(partition) ?? Number.POSITIVE_INFINITY)) open.delete(partition);
    if (open.size === 0) resolve();
  });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({
    eachBatch: async ({ batch }) => {
      for (const { value } of batch.messages)
        events.push({ ...JSON.parse(value!.toString()), partition: batch.partition });
    },
  });
  try {
    await promise;
  } finally {
    clearTimeout(tooLate);
    await consumer.disconnect();
  }
  return events;
}
