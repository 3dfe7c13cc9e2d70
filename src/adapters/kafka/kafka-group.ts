import type { Kafka } from 'kafkajs';
import { kafkaErrorType } from './kafka-errors.ts';

/** A member of a consumer group. The broker assigns the id; the client id is what its process calls itself. */
export interface Member {
  readonly memberId: string;
  readonly clientId: string;
}

/** The library's connections to the brokers. */
interface Cluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  findGroupCoordinator(about: { groupId: string }): Promise<Coordinator>;
}

/** The library's requests to the broker that coordinates a group. */
interface Coordinator {
  describeGroups(about: { groupIds: string[] }): Promise<{ groups: { members: Member[] }[] }>;
  leaveGroup(about: { groupId: string; memberId: string }): Promise<unknown>;
}

type CreateCluster = (options: { allowAutoTopicCreation: boolean }) => Cluster;

const CREATE_CLUSTER = 'private:Kafka:createCluster';

/**
 * The members of a consumer group, seen from outside. Kafka's own admin client removes members in the same way, with a
 * LeaveGroup request in their name; kafkajs 2.2.4 can send one, but only its consumers do, for themselves.
 */
export class KafkaGroup {
  readonly #groupId: string;
  readonly #cluster: Cluster;
  #isConnected = false;
  /** The last work. Settles even if the caller no longer waits for it. */
  #work: Promise<unknown> = Promise.resolve();

  constructor(client: Kafka, groupId: string) {
    this.#groupId = groupId;
    this.#cluster = createCluster(client);
  }

  members(): Promise<readonly Member[]> {
    return this.#track(async () => {
      const coordinator = await this.#coordinator();
      const { groups } = await coordinator.describeGroups({ groupIds: [this.#groupId] });
      return groups.flatMap(({ members }) => members);
    });
  }

  /** Makes the member leave, as if it had asked for it. One that is alive notices, and joins again. */
  remove(memberId: string): Promise<void> {
    return this.#track(async () => {
      const coordinator = await this.#coordinator();
      try {
        await coordinator.leaveGroup({ groupId: this.#groupId, memberId });
      } catch (error) {
        // It has left meanwhile, or another process has removed it.
        if (kafkaErrorType(error) !== 'UNKNOWN_MEMBER_ID') throw error;
      }
    });
  }

  /** Closes the connections, and those that work in flight opens when it is tried again. Never rejects. */
  async close(): Promise<void> {
    this.#isConnected = false;
    await this.#cluster.disconnect().catch(() => {});
    await this.#work;
    await this.#cluster.disconnect().catch(() => {});
  }

  #track<T>(work: () => Promise<T>): Promise<T> {
    const result = work();
    this.#work = result.catch(() => {});
    return result;
  }

  async #coordinator(): Promise<Coordinator> {
    if (!this.#isConnected) await this.#cluster.connect();
    this.#isConnected = true;
    return this.#cluster.findGroupCoordinator({ groupId: this.#groupId });
  }
}

function createCluster(client: Kafka): Cluster {
  const symbol = Object.getOwnPropertySymbols(client).find(
    ({ description }) => description === CREATE_CLUSTER,
  );
  if (symbol === undefined)
    throw new Error('This version of kafkajs has no function that connects to brokers.');
  return (client as unknown as Record<symbol, CreateCluster>)[symbol]!({ allowAutoTopicCreation: false });
}
