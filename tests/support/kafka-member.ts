import { createConnection, type Socket } from 'node:net';
import { Kafka, logLevel } from 'kafkajs';

/** Which group to join, and under which name. */
export interface MemberOptions {
  readonly brokers: string;
  readonly groupId: string;
  readonly topic: string;
  readonly clientId: string;
}

/** A member of a consumer group that reads and does nothing. */
export interface KafkaMember {
  readonly memberId: string;
  /** Cuts it off, as the loss of its host would: it sends nothing from then on, and does not leave. */
  cut(): void;
  /** Leaves, unless it was cut off. */
  end(): Promise<void>;
}

// Far longer than any test: a group that is delivered to has not waited for it.
const SESSION_MS = 300_000;

/** Joins a consumer group, with a session that does not end during a test. */
export async function joinKafkaGroup({
  brokers,
  groupId,
  topic,
  clientId,
}: MemberOptions): Promise<KafkaMember> {
  const sockets: Socket[] = [];
  let isCut = false;
  const consumer = new Kafka({
    clientId,
    brokers: [brokers],
    logLevel: logLevel.NOTHING,
    retry: { retries: 10, initialRetryTime: 100, maxRetryTime: 500 },
    socketFactory({ host, port, onConnect }) {
      const socket = createConnection({ host, port: isCut ? 1 : port }, onConnect);
      sockets.push(socket);
      return socket;
    },
  }).consumer({
    groupId,
    sessionTimeout: SESSION_MS,
    rebalanceTimeout: SESSION_MS,
    heartbeatInterval: 200,
    maxWaitTimeInMs: 100,
    retry: { retries: 5, restartOnFailure: async () => false },
  });
  const joined = new Promise<string>((resolve, reject) => {
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => resolve(payload.memberId));
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
  });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic] });
  await consumer.run({ eachBatch: async () => {} });
  const memberId = await joined;
  return {
    memberId,
    cut() {
      isCut = true;
      for (const socket of sockets) socket.destroy();
    },
    async end() {
      if (!isCut) await consumer.disconnect();
    },
  };
}
