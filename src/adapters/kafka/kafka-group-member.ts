import { type Consumer, type EachBatchPayload, type Kafka, KafkaJSError, type KafkaMessage } from 'kafkajs';
import type { Dependency } from '../../resilience/dependency.ts';
import type { AtlasEvent } from '../../utils/event.ts';
import { orAbort } from '../../utils/or-abort.ts';
import type { ConsumerCounts } from '../event-log/consumer-counts.ts';
import type { EventHandler } from '../event-log/event-log.ts';
import type { Database } from '../postgres/database.ts';
import type { Incarnation } from '../postgres/incarnation.ts';
import { LostMembers } from './kafka-lost-members.ts';
import { fromMessage } from './kafka-message.ts';
import { KafkaOffsetHints } from './kafka-offset-hints.ts';
import { applyAt, readPositions } from './kafka-positions.ts';
import { committedPartitions, ensureTopic } from './kafka-topic.ts';

const BATCH_EVENTS_MAX = 500;
const FETCH_WAIT_MS = 250;
const FETCH_BYTES_MAX = 4_194_304;
const PARTITION_BYTES_MAX = 1_048_576;
// Kafka notices a dead member after this, the shortest session that brokers allow by default. Other processes notice
// earlier: see LostMembers.
const SESSION_MS = 6000;
const HEARTBEAT_MS = 1000;
const LEAVE_MS_MAX = 1000;
// The library emits an event for each request and response. After this long without any, it is stuck.
const SILENT_MS_MAX = 10_000;

export interface GroupMemberOptions {
  readonly client: Kafka;
  /** The client id of `client`, which names this membership. */
  readonly clientId: string;
  readonly incarnation: Pick<Incarnation, 'deadAmong'>;
  readonly dependency: Dependency;
  readonly database: Database;
  readonly topic: string;
  /** Prefix of the group names. */
  readonly prefix: string;
  /** Called each time Kafka is unavailable or delivers an undecodable message. */
  readonly onTrouble: (error: unknown, text: string) => void;
}

/** Why a membership ended: `isUnavailable` says that Kafka failed, not the work. */
export interface MembershipEnd {
  readonly error: unknown;
  readonly isUnavailable: boolean;
}

/** One membership in the consumer group of a consumer, from joining it to leaving it. */
export class GroupMember {
  readonly #consumer: string;
  readonly #handle: EventHandler;
  readonly #options: GroupMemberOptions;
  readonly #counts: ConsumerCounts;
  readonly #lags = new Map<number, number>();
  readonly #end = Promise.withResolvers<MembershipEnd>();
  readonly #client: Consumer;
  readonly #hints: KafkaOffsetHints;
  // 'ended' after 'leaving' is not final: a join that was in flight may succeed late, and is left again.
  #state: 'reading' | 'ended' | 'leaving' = 'reading';
  #isJoining = false;
  #seek: Promise<void> = Promise.resolve();
  #lastEventMs = performance.now();

  constructor(consumer: string, handle: EventHandler, options: GroupMemberOptions, counts: ConsumerCounts) {
    this.#consumer = consumer;
    this.#handle = handle;
    this.#options = options;
    this.#counts = counts;
    this.#client = options.client.consumer({
      groupId: this.#group,
      sessionTimeout: SESSION_MS,
      rebalanceTimeout: SESSION_MS,
      heartbeatInterval: HEARTBEAT_MS,
      maxWaitTimeInMs: FETCH_WAIT_MS,
      maxBytes: FETCH_BYTES_MAX,
      maxBytesPerPartition: PARTITION_BYTES_MAX,
      readUncommitted: false,
      allowAutoTopicCreation: false,
      retry: { retries: 2, initialRetryTime: 100, maxRetryTime: 1000, restartOnFailure: async () => false },
    });
    this.#hints = new KafkaOffsetHints((offsets) =>
      this.#client.commitOffsets(
        [...offsets].map(([partition, offset]) => {
          return { topic: options.topic, partition, offset: String(offset) };
        }),
      ),
    );
  }

  get #group(): string {
    return `${this.#options.prefix}.${this.#consumer}`;
  }

  get #isReading(): boolean {
    return this.#state === 'reading';
  }

  /** Joins the group and handles its events. Resolves when the signal aborts or the membership fails. */
  async run(signal: AbortSignal): Promise<MembershipEnd> {
    const { dependency } = this.#options;
    const stop = () => this.#stop({ error: signal.reason, isUnavailable: false });
    signal.addEventListener('abort', stop, { once: true });
    const silenceCheck = setInterval(() => {
      if (performance.now() - this.#lastEventMs < SILENT_MS_MAX) return;
      const error = new Error(`Kafka has not responded for ${SILENT_MS_MAX / 1000} s.`);
      this.#stop({ error, isUnavailable: true });
    }, HEARTBEAT_MS);
    const ended = new AbortController();
    const lost = new LostMembers(this.#group, this.#options);
    const removal = lost.removeUntil(ended.signal);
    try {
      await dependency.call('join', (within) => orAbort(this.#tryJoin(), within), { signal });
    } catch (error) {
      this.#stop({ error, isUnavailable: true });
    }
    const end = await this.#end.promise;
    signal.removeEventListener('abort', stop);
    clearInterval(silenceCheck);
    ended.abort();
    await removal;
    // The next owner of the partitions reports their lag; while Kafka is unavailable, the last known lag stays.
    if (signal.aborted) this.#counts.setLag(this.#consumer, 0);
    // Leaving waits for responses that may never come.
    await Promise.race([this.#leave(), Bun.sleep(LEAVE_MS_MAX)]);
    await Promise.race([lost.removeOwn(() => !this.#isJoining), Bun.sleep(LEAVE_MS_MAX)]);
    return end;
  }

  #stop(end: MembershipEnd): void {
    if (this.#state === 'reading') this.#state = 'ended';
    this.#hints.close();
    this.#end.resolve(end);
  }

  async #leave(): Promise<void> {
    if (this.#state === 'leaving') return;
    this.#state = 'leaving';
    await this.#client.disconnect().catch(() => {});
    this.#state = 'ended';
  }

  async #tryJoin(): Promise<void> {
    this.#isJoining = true;
    try {
      await this.#join();
    } finally {
      this.#isJoining = false;
    }
  }

  async #join(): Promise<void> {
    const { client, topic } = this.#options;
    const consumer = this.#client;
    consumer.on(consumer.events.CRASH, ({ payload }) =>
      this.#stop({ error: payload.error, isUnavailable: true }),
    );
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      this.#seek = this.#seekToPositions(payload.memberAssignment[topic] ?? []);
      // The next batch awaits the seek and throws its error, but there may be no next batch.
      this.#seek.catch((error) => this.#stop({ error, isUnavailable: error instanceof KafkaJSError }));
    });
    const onEvent = () => {
      this.#lastEventMs = performance.now();
      // A join that was in flight when this member ended has succeeded after all.
      if (!this.#isReading) void this.#leave();
    };
    const { FETCH_START, FETCH, HEARTBEAT, GROUP_JOIN } = consumer.events;
    for (const event of [FETCH_START, FETCH, HEARTBEAT, GROUP_JOIN]) consumer.on(event, onEvent);
    await ensureTopic(client, topic);
    onEvent();
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    if (!this.#isReading) return this.#leave();
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: (payload) => this.#consume(payload),
    });
  }

  /**
   * Continues at the positions in PostgreSQL, or else at the beginning. Partitions without an offset in Kafka start at
   * the beginning too: Kafka deletes offsets with their topic, so this one was created again, or is another one.
   */
  async #seekToPositions(partitions: readonly number[]): Promise<void> {
    const { client, database, topic } = this.#options;
    const committed = await committedPartitions(client, this.#group, topic);
    const positions = await readPositions(database, this.#consumer);
    this.#lags.clear();
    for (const partition of partitions) {
      const position = (committed.has(partition) && positions.get(partition)) || 0;
      this.#client.seek({ topic, partition, offset: String(position) });
    }
  }

  async #consume({ batch, heartbeat, resolveOffset, isRunning, isStale }: EachBatchPayload): Promise<void> {
    if (!this.#isReading) return;
    const heartbeats = setInterval(() => void heartbeat().catch(() => {}), HEARTBEAT_MS);
    try {
      await this.#seek;
      const { messages, partition } = batch;
      for (let at = 0; at < messages.length; at += BATCH_EVENTS_MAX) {
        // A stale batch was fetched before the seek.
        if (!this.#isReading || !isRunning() || isStale()) return;
        const taken = messages.slice(at, at + BATCH_EVENTS_MAX);
        const isLast = at + BATCH_EVENTS_MAX >= messages.length;
        const lastOffset = taken.at(-1)!.offset;
        // Transaction markers may follow the last message, and they have offsets too.
        const position = Number(isLast ? batch.lastOffset() : lastOffset) + 1;
        const events = taken.flatMap((message) => this.#decode(message, partition));
        while (!(await this.#apply(events, partition, position))) if (!this.#isReading) return;
        resolveOffset(lastOffset);
        this.#setLag(partition, Number(batch.highWatermark) - position);
        this.#hints.add(partition, position);
      }
    } catch (error) {
      this.#stop({ error, isUnavailable: false });
      this.#client.pause([{ topic: this.#options.topic }]);
    } finally {
      clearInterval(heartbeats);
    }
  }

  /** Returns false when the same events must be applied again. */
  async #apply(events: readonly AtlasEvent[], partition: number, position: number): Promise<boolean> {
    const applied = await applyAt(this.#options.database, this.#consumer, events, this.#handle, {
      partition,
      position,
    });
    this.#counts.add(this.#consumer, applied);
    return applied.isComplete;
  }

  #decode(message: KafkaMessage, partition: number): AtlasEvent[] {
    const event = fromMessage(message);
    if (event !== null) return [event];
    this.#counts.addUndecodable(this.#consumer);
    const at = `partition ${partition}, offset ${message.offset}`;
    this.#options.onTrouble(null, `consumer ${this.#consumer} skipped an undecodable message (${at})`);
    return [];
  }

  #setLag(partition: number, lag: number): void {
    this.#lags.set(partition, Math.max(0, lag));
    const total = [...this.#lags.values()].reduce((sum, each) => sum + each, 0);
    this.#counts.setLag(this.#consumer, total);
  }
}
