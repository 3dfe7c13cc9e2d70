import { type Consumer, type EachBatchPayload, type Kafka, KafkaJSError, type KafkaMessage } from 'kafkajs';
import type { Dependency } from '../../resilience/dependency.ts';
import type { AtlasEvent } from '../../utils/event.ts';
import { orAbort } from '../../utils/or-abort.ts';
import { sleep } from '../../utils/sleep.ts';
import { ConsumerCounts } from '../event-log/consumer-counts.ts';
import type { ConsumerStats, EventConsumer, EventHandler } from '../event-log/event-log.ts';
import { applyOnce } from '../event-log/inbox.ts';
import type { Database } from '../postgres/database.ts';
import { fromMessage } from './kafka-message.ts';
import { ensureTopic, notedPartitions } from './kafka-topic.ts';

const BATCH_EVENTS_MAX = 500;
const FETCH_WAIT_MS = 250;
const FETCH_BYTES_MAX = 4_194_304;
const PARTITION_BYTES_MAX = 1_048_576;
// A member that dies is missed after this; the others of its group then share its partitions.
const SESSION_MS = 6000;
const HEARTBEAT_MS = 1000;
const STOP_MS_MAX = 1500;
// The library tells when it asks and when it is answered. Silent for so long, it waits for what never comes.
const SILENT_MS_MAX = 10_000;
const AWAY_MS = 1000;

/** What consumers of a topic are made of. */
export interface KafkaConsumerOptions {
  readonly client: Kafka;
  readonly dependency: Dependency;
  readonly database: Database;
  readonly topic: string;
  /** Begins the names of the groups. */
  readonly prefix: string;
  /** Told when Kafka is away, or sends what is no event; as often as that happens. */
  readonly onTrouble: (error: unknown, text: string) => void;
}

/** Consumers of the topic. How far each is stands in PostgreSQL; what Kafka knows of it is a hint for people. */
export class KafkaConsumer implements EventConsumer {
  readonly #options: KafkaConsumerOptions;
  readonly #counts = new ConsumerCounts();

  constructor(options: KafkaConsumerOptions) {
    this.#options = options;
  }

  stats(): readonly ConsumerStats[] {
    return this.#counts.stats();
  }

  async run(consumer: string, handle: EventHandler, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const member = new Member(consumer, handle, this.#options, this.#counts);
      const ended = await member.work(signal);
      if (signal.aborted) return;
      this.#counts.fail(consumer);
      // The handler's own failures, and PostgreSQL's, are for whoever runs this.
      if (!ended.isUnavailable) throw ended.error;
      this.#options.onTrouble(ended.error, `the consumer ${consumer} cannot read from Kafka; it tries again`);
      await sleep(AWAY_MS, signal);
    }
  }
}

/** Why a member ended: its work failed, or Kafka did. */
interface Ended {
  readonly error: unknown;
  readonly isUnavailable: boolean;
}

/** One membership in the group of a consumer, from joining it to leaving it. */
class Member {
  readonly #consumer: string;
  readonly #handle: EventHandler;
  readonly #options: KafkaConsumerOptions;
  readonly #counts: ConsumerCounts;
  readonly #lags = new Map<number, number>();
  readonly #ended = Promise.withResolvers<Ended>();
  readonly #member: Consumer;
  #positioned: Promise<void> = Promise.resolve();
  #hasEnded = false;
  #heardMs = performance.now();
  #isHinting = false;
  readonly #hints = new Map<number, number>();
  #isLeaving = false;

  constructor(consumer: string, handle: EventHandler, options: KafkaConsumerOptions, counts: ConsumerCounts) {
    this.#consumer = consumer;
    this.#handle = handle;
    this.#options = options;
    this.#counts = counts;
    this.#member = options.client.consumer({
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
  }

  get #group(): string {
    return `${this.#options.prefix}.${this.#consumer}`;
  }

  /** Resolves when it was told to end, or cannot go on. */
  async work(signal: AbortSignal): Promise<Ended> {
    const { dependency } = this.#options;
    const stop = () => this.#end({ error: signal.reason, isUnavailable: false });
    signal.addEventListener('abort', stop, { once: true });
    const watch = setInterval(() => {
      if (performance.now() - this.#heardMs < SILENT_MS_MAX) return;
      this.#end({ error: new Error('Nothing was heard of Kafka.'), isUnavailable: true });
    }, HEARTBEAT_MS);
    try {
      await dependency.call('join', (within) => orAbort(this.#join(), within), { signal });
    } catch (error) {
      this.#end({ error, isUnavailable: true });
    }
    const ended = await this.#ended.promise;
    signal.removeEventListener('abort', stop);
    clearInterval(watch);
    // Whoever goes on with it tells how far it is; while Kafka is away, it is where it was.
    if (signal.aborted) this.#counts.setLag(this.#consumer, 0);
    // It waits for answers that may never come.
    await Promise.race([this.#leave(), Bun.sleep(STOP_MS_MAX)]);
    return ended;
  }

  /** Leaves the group. A library that was just joining joins after all, so it is told again when it shows. */
  async #leave(): Promise<void> {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    await this.#member.disconnect().catch(() => {});
    this.#isLeaving = false;
  }

  async #join(): Promise<void> {
    const { client, topic } = this.#options;
    const member = this.#member;
    member.on(member.events.CRASH, ({ payload }) => this.#end({ error: payload.error, isUnavailable: true }));
    member.on(member.events.GROUP_JOIN, ({ payload }) => {
      this.#positioned = this.#takePositions(payload.memberAssignment[topic] ?? []);
      // Whoever waits for it hears of a failure there; without a message nobody waits.
      this.#positioned.catch((error) => this.#end({ error, isUnavailable: error instanceof KafkaJSError }));
    });
    const hear = () => {
      this.#heardMs = performance.now();
      if (this.#hasEnded) void this.#leave();
    };
    const { FETCH_START, FETCH, HEARTBEAT, GROUP_JOIN } = member.events;
    for (const sign of [FETCH_START, FETCH, HEARTBEAT, GROUP_JOIN]) member.on(sign, hear);
    await ensureTopic(client, topic);
    hear();
    await member.connect();
    await member.subscribe({ topics: [topic], fromBeginning: true });
    await member.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: (payload) => this.#consume(payload),
    });
  }

  #end(ended: Ended): void {
    this.#hasEnded = true;
    this.#ended.resolve(ended);
  }

  /**
   * Goes on where PostgreSQL says that the effects end; else from the beginning. So too where Kafka has noted nothing:
   * what it notes goes with a topic, so this is another one, made anew or under a new name, which has other places.
   */
  async #takePositions(partitions: readonly number[]): Promise<void> {
    const { client, database, topic } = this.#options;
    const noted = await notedPartitions(client, this.#group, topic);
    const rows = await database.query(
      (sql) => sql<{ partition: number; position: number }[]>`
        SELECT partition, position FROM consumer_offsets WHERE consumer = ${this.#consumer}`,
    );
    const known = new Map(rows.map(({ partition, position }) => [partition, position]));
    this.#lags.clear();
    for (const partition of partitions)
      this.#member.seek({
        topic,
        partition,
        offset: String((noted.has(partition) && known.get(partition)) || 0),
      });
  }

  async #consume({ batch, heartbeat, resolveOffset, isRunning, isStale }: EachBatchPayload): Promise<void> {
    if (this.#hasEnded) return;
    const beat = setInterval(() => void heartbeat().catch(() => {}), HEARTBEAT_MS);
    try {
      await this.#positioned;
      const { messages, partition } = batch;
      for (let at = 0; at < messages.length; at += BATCH_EVENTS_MAX) {
        // Stale is what was fetched from another place than the one PostgreSQL knows.
        if (this.#hasEnded || !isRunning() || isStale()) return;
        const taken = messages.slice(at, at + BATCH_EVENTS_MAX);
        const isLast = at + BATCH_EVENTS_MAX >= messages.length;
        const lastOffset = taken.at(-1)!.offset;
        // Behind the last message there may be marks of transactions, which count too.
        const position = Number(isLast ? batch.lastOffset() : lastOffset) + 1;
        const events = taken.flatMap((message) => this.#read(message, partition));
        while (!(await this.#apply(events, partition, position))) if (this.#hasEnded) return;
        resolveOffset(lastOffset);
        this.#tellLag(partition, Number(batch.highWatermark) - position);
        this.#hint(partition, position);
      }
    } catch (error) {
      this.#end({ error, isUnavailable: false });
      this.#member.pause([{ topic: this.#options.topic }]);
    } finally {
      clearInterval(beat);
    }
  }

  /**
   * The effect and the place, in one transaction. What comes again is known by the inbox, not by its place. False where
   * there is more to do for the same events.
   */
  async #apply(events: readonly AtlasEvent[], partition: number, position: number): Promise<boolean> {
    const applied = await this.#options.database.transaction(async (tx) => {
      const outcome = await applyOnce(tx, this.#consumer, events, this.#handle);
      if (!outcome.isComplete) return outcome;
      await tx.query(
        (sql) => sql`
        INSERT INTO consumer_offsets (consumer, partition, position)
        VALUES (${this.#consumer}, ${partition}, ${position})
        ON CONFLICT (consumer, partition) DO UPDATE SET position = excluded.position`,
      );
      return outcome;
    });
    this.#counts.add(this.#consumer, applied);
    return applied.isComplete;
  }

  #read(message: KafkaMessage, partition: number): AtlasEvent[] {
    const event = fromMessage(message);
    if (event !== null) return [event];
    this.#reportUndecodable(partition, message.offset);
    return [];
  }

  #reportUndecodable(partition: number, offset: string): void {
    this.#counts.addUndecodable(this.#consumer);
    const text = `message ${offset} of partition ${partition} is no event of Atlas; ${this.#consumer} leaves it out`;
    this.#options.onTrouble(null, text);
  }

  #tellLag(partition: number, lag: number): void {
    this.#lags.set(partition, Math.max(0, lag));
    this.#counts.setLag(
      this.#consumer,
      [...this.#lags.values()].reduce((sum, each) => sum + each, 0),
    );
  }

  /** Tells Kafka how far this is: for its tools, and as a sign that the topic is the same. Nobody waits for it. */
  #hint(partition: number, position: number): void {
    this.#hints.set(partition, position);
    if (!this.#isHinting) void this.#tellHints();
  }

  async #tellHints(): Promise<void> {
    const { topic } = this.#options;
    this.#isHinting = true;
    while (this.#hints.size > 0 && !this.#hasEnded) {
      const offsets = [...this.#hints].map(([partition, position]) => {
        return { topic, partition, offset: String(position) };
      });
      this.#hints.clear();
      await this.#member.commitOffsets(offsets).catch(() => {});
    }
    this.#isHinting = false;
  }
}
