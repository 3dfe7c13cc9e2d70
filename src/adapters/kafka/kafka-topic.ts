import { ConfigResourceTypes, type Kafka } from 'kafkajs';
import { kafkaErrorType } from './kafka-errors.ts';

const PARTITIONS = 12;
const REPLICAS_MAX = 3;
const CREATE_MS_MAX = 10_000;

/** The topic as it is: what a message of it may weigh, or null where nobody may ask. */
export interface TopicFacts {
  readonly messageBytesMax: number | null;
}

/** Makes the topic where it is missing, with a copy on each broker, up to three. */
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
              // With three copies an acknowledged event is on two of them, and one broker may be away.
              { name: 'min.insync.replicas', value: String(Math.max(1, replicas - 1)) },
              // By the broker's clock, so that it neither refuses nor soon deletes what a host with a wrong one sends.
              { name: 'message.timestamp.type', value: 'LogAppendTime' },
            ],
          },
        ],
      });
    }
    return { messageBytesMax: await messageBytesMax(admin, topic) };
  });
}

/** By partition, the offset of the message that comes next. Empty where there is no topic yet. */
export async function topicEnds(client: Kafka, topic: string): Promise<Map<number, number>> {
  return withAdmin(client, async (admin) => {
    if (!(await admin.listTopics()).includes(topic)) return new Map();
    const offsets = await admin.fetchTopicOffsets(topic);
    return new Map(offsets.map(({ partition, high }) => [partition, Number(high)]));
  });
}

/** Partitions of a topic in which a group has noted a place. Kafka forgets that with the topic. */
export async function notedPartitions(client: Kafka, groupId: string, topic: string): Promise<Set<number>> {
  return withAdmin(client, async (admin) => {
    const topics = await admin.fetchOffsets({ groupId, topics: [topic] });
    const noted = topics[0]?.partitions.filter(({ offset }) => Number(offset) >= 0) ?? [];
    return new Set(noted.map(({ partition }) => partition));
  });
}

type Admin = ReturnType<Kafka['admin']>;

async function withAdmin<T>(client: Kafka, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = client.admin();
  try {
    await admin.connect();
    return await work(admin);
  } finally {
    // It waits for answers that may never come, and nobody waits for it.
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
    // Whoever may send need not be allowed to ask; a message that is too large is then found out by sending it.
    if (kafkaErrorType(error).endsWith('AUTHORIZATION_FAILED')) return null;
    throw error;
  }
}
