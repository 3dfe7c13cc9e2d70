import { ConfigResourceTypes, type Kafka } from 'kafkajs';
import { kafkaErrorType } from './kafka-errors.ts';

const PARTITIONS = 12;
const REPLICAS_MAX = 3;
const CREATE_MS_MAX = 10_000;

/** `messageBytesMax` is null where Atlas is not authorized to read the topic's configuration. */
export interface TopicFacts {
  readonly messageBytesMax: number | null;
}

/** Creates the topic if it does not exist, with a replica on each broker, up to three. */
export async function ensureTopic(client: Kafka, topic: string): Promise<TopicFacts> {
  return withAdmin(client, async (admin) => {
    if (!(await admin.listTopics()).includes(topic)) {
      const { brokers } = await admin.describeCluster();
      const replicas = Math.min(REPLICAS_MAX, brokers.length);
      await admin.createTopics({
        timeout: CREATE_MS_MAX,
        topics: [
          {
            topic,
            numPartitions: PARTITIONS,
            replicationFactor: replicas,
            configEntries: [
              // With three replicas an acknowledged event is on two of them, and one broker may be down.
              { name: 'min.insync.replicas', value: String(Math.max(1, replicas - 1)) },
              // The broker's clock, so that it neither rejects nor deletes early what a host with a wrong clock sends.
              { name: 'message.timestamp.type', value: 'LogAppendTime' },
            ],
          },
        ],
      });
    }
    return { messageBytesMax: await messageBytesMax(admin, topic) };
  });
}

/** By partition, the offset of the next message. Empty if the topic does not exist. */
export async function topicEnds(client: Kafka, topic: string): Promise<Map<number, number>> {
  return withAdmin(client, async (admin) => {
    if (!(await admin.listTopics()).includes(topic)) return new Map();
    const offsets = await admin.fetchTopicOffsets(topic);
    return new Map(offsets.map(({ partition, high }) => [partition, Number(high)]));
  });
}

/** The partitions of a topic for which a group has committed an offset. Kafka deletes offsets with the topic. */
export async function committedPartitions(
  client: Kafka,
  groupId: string,
  topic: string,
): Promise<Set<number>> {
  return withAdmin(client, async (admin) => {
    const topics = await admin.fetchOffsets({ groupId, topics: [topic] });
    const committed = topics[0]?.partitions.filter(({ offset }) => Number(offset) >= 0) ?? [];
    return new Set(committed.map(({ partition }) => partition));
  });
}

type Admin = ReturnType<Kafka['admin']>;

async function withAdmin<T>(client: Kafka, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = client.admin();
  try {
    await admin.connect();
    return await work(admin);
  } finally {
    // Not awaited: it waits for responses that may never come.
    void admin.disconnect().catch(() => {});
  }
}

async function messageBytesMax(admin: Admin, topic: string): Promise<number | null> {
  try {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configNames: ['max.message.bytes'] }],
    });
    const value = resources[0]?.configEntries.find(({ configName }) => configName === 'max.message.bytes');
    return value ? Number(value.configValue) : null;
  } catch (error) {
    // A producer may lack permission to read the configuration. The broker then rejects messages that are too large.
    if (kafkaErrorType(error).endsWith('AUTHORIZATION_FAILED')) return null;
    throw error;
  }
}
