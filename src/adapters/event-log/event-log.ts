import type { Dependency } from '../../resilience/dependency.ts';
import type { AtlasEvent } from '../../utils/event.ts';
import type { Queryable } from '../postgres/query.ts';

/** An event that was refused for what it is, and would be again. `index` is its place among those handed over. */
export interface Rejection {
  readonly index: number;
  readonly reason: string;
}

/**
 * The log refuses something of what was sent together, for what it is. Nothing of it can be seen. To find out what it
 * is, open the publisher anew and send less at a time.
 */
export class BatchRefused extends Error {
  constructor(reason: string, cause: unknown) {
    super(reason, { cause });
    this.name = 'BatchRefused';
  }
}

/** The sending side of a log outside of PostgreSQL. One relay uses it, one call at a time. */
export interface EventPublisher {
  /** After it resolves, everyone who opened before is fenced: what they still send is refused. Opens anew each time. */
  open(signal: AbortSignal): Promise<void>;
  /**
   * Sends events in their order and resolves when readers can see them. Answers those that are known to be refused, and
   * has then sent nothing of the later ones with their keys. Rejects with {@link BatchRefused} when others are refused.
   * When it rejects with anything else nobody knows what can be seen: open it anew and send all of them again.
   */
  publish(events: readonly AtlasEvent[], signal: AbortSignal): Promise<readonly Rejection[]>;
  /** Gives the connection back. Never rejects, and takes a second at most. */
  close(): Promise<void>;
}

/** The work of a consumer. It must change nothing but what the transaction changes. */
export type EventHandler = (events: readonly AtlasEvent[], tx: Queryable) => Promise<void>;

/** How a consumer is doing, counted since the start of this process. */
export interface ConsumerStats {
  readonly consumer: string;
  /** Events that had their effect. */
  readonly handled: number;
  /** Events that came again and were left out. */
  readonly repeated: number;
  /** Events that the log had lost and that were taken from PostgreSQL instead. */
  readonly recovered: number;
  /** Messages in the log that are no events of Atlas, and were left out. */
  readonly undecodable: number;
  readonly failures: number;
  /** Entries of the log that it has still to read, as far as this process knows. */
  readonly lag: number;
}

/** The reading side. */
export interface EventConsumer {
  /**
   * Hands over what was sent, the events of a key in order and without a gap, each of them once: `handle` runs in the
   * transaction that also notes how far the consumer is. A new consumer begins with the oldest event there is. Works
   * until the signal aborts; rejects when it cannot go on, and may then be run again. Several processes may run one.
   */
  run(consumer: string, handle: EventHandler, signal: AbortSignal): Promise<void>;
  stats(): readonly ConsumerStats[];
}

/** Where events go from the outbox: nowhere else, or to Kafka. */
export interface EventLog {
  readonly mode: 'postgresql' | 'kafka';
  /** Null where the table `events` is the log. */
  readonly publisher: EventPublisher | null;
  readonly consumer: EventConsumer;
  /** What stands between Atlas and the brokers; null without any. */
  readonly dependency: Dependency | null;
  /** By partition, the position of a consumer that has read everything. The table `events` is partition −1. */
  ends(signal: AbortSignal): Promise<ReadonlyMap<number, number>>;
  close(): Promise<void>;
}
