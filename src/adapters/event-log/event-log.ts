import type { Dependency } from '../../resilience/dependency.ts';
import type { AtlasEvent } from '../../utils/event.ts';
import type { Queryable } from '../postgres/query.ts';

/** An event that the log rejects for its content, and always would. `index` is its index in the batch. */
export interface Rejection {
  readonly index: number;
  readonly reason: string;
}

/**
 * The log rejected a batch for its content, and none of it is visible. To find the event, open the publisher again and
 * send smaller batches.
 */
export class BatchRefused extends Error {
  constructor(reason: string, cause: unknown) {
    super(reason, { cause });
    this.name = 'BatchRefused';
  }
}

/** The publishing side of a log outside PostgreSQL. One relay uses it, one call at a time. */
export interface EventPublisher {
  /** Opens a session and fences every earlier one: what they still send is rejected. May be called again. */
  open(signal: AbortSignal): Promise<void>;
  /**
   * Sends events in order and resolves when readers can see them. Returns the rejected events; later events with their
   * keys were not sent. Rejects with {@link BatchRefused} if it is unknown which event was rejected. After any other
   * error it is unknown what is visible: open again and send all of them again.
   */
  publish(events: readonly AtlasEvent[], signal: AbortSignal): Promise<readonly Rejection[]>;
  /** Closes the connection within a second. Never rejects. */
  close(): Promise<void>;
}

/** The work of a consumer. It must have no effects outside the transaction. */
export type EventHandler = (events: readonly AtlasEvent[], tx: Queryable) => Promise<void>;

/**
 * Returns the owners whose events a consumer handles, or null for all. Events of others need no handling: they only
 * count as seen.
 */
export type OwnersOf = (tx: Queryable) => Promise<readonly string[] | null>;

/** Stats of a consumer since the start of this process. */
export interface ConsumerStats {
  readonly consumer: string;
  /** Events that took effect, or were of no interest. */
  readonly handled: number;
  /** Duplicates, which were skipped. */
  readonly repeated: number;
  /** Events that the log had lost, read from PostgreSQL instead. */
  readonly recovered: number;
  /** Undecodable messages, which were skipped. */
  readonly undecodable: number;
  readonly failures: number;
  /** Unread entries of the log, as far as this process knows. */
  readonly lag: number;
}

/** The consuming side. */
export interface EventConsumer {
  /**
   * Delivers the events of each key in order, without gaps, and exactly once: `handle` runs in the transaction that also
   * stores the position. A new consumer starts with the oldest event. Runs until the signal aborts; rejects when it
   * cannot continue, and may then be run again. Several processes may run the same consumer. `ownersOf` lets the log
   * skip events that `handle` would ignore; it still receives some of them.
   */
  run(consumer: string, handle: EventHandler, signal: AbortSignal, ownersOf?: OwnersOf): Promise<void>;
  stats(): readonly ConsumerStats[];
}

/** The destination of the outbox: the table `events`, or Kafka. */
export interface EventLog {
  readonly mode: 'postgresql' | 'kafka';
  /** Null if the table `events` is the log. */
  readonly publisher: EventPublisher | null;
  readonly consumer: EventConsumer;
  /** Guards the calls to the brokers; null without Kafka. */
  readonly dependency: Dependency | null;
  /** Returns, by partition, the position of a consumer that has read everything. The table `events` is partition −1. */
  ends(signal: AbortSignal): Promise<ReadonlyMap<number, number>>;
  /**
   * Notifies consumers of this process that its relay has added events, or has started or stopped being the relay of
   * all hosts. While it is, nobody else adds events.
   */
  readonly relayed: (isLeading: boolean) => void;
  close(): Promise<void>;
}
