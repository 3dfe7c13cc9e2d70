import type { AtlasEvent } from '../../../utils/event.ts';

/** An event that has not been sent, and the state of its key in the log. */
export interface Unsent {
  /** Its row in the outbox. The two events of a transfer share one. */
  readonly rowId: number;
  readonly key: string;
  readonly sequence: number;
  /** The sequence of the last event of the key that was sent, or null if none was. */
  readonly lastSent: number | null;
  /** Whether the key is parked until an operator fixes it. */
  readonly isParked: boolean;
  /** Null without a publisher, when the content stays in PostgreSQL. */
  readonly event: AtlasEvent | null;
}

/** Unsent events in order, and whether more may follow: a batch ends at a number of rows, or of bytes. */
export interface UnsentBatch {
  readonly unsent: readonly Unsent[];
  readonly hasMore: boolean;
}

/** An event that stops its key: neither it nor any later event of the key is sent. */
export interface Poison {
  readonly key: string;
  readonly sequence: number;
  readonly reason: string;
}

/** What the preceding batch did, which PostgreSQL may not reflect yet. */
export interface SentBefore {
  /** Sequence of the last event sent, by key. */
  readonly last: ReadonlyMap<string, number>;
  /** Keys that were stopped. */
  readonly stopped: ReadonlySet<string>;
}

/** The events of a batch to send, in order, and the keys to stop. */
export interface Plan {
  readonly sendable: readonly Unsent[];
  readonly poison: readonly Poison[];
}

/**
 * Selects the events that continue their keys: event n + 1 only if n was the last one sent or precedes it in the batch.
 * The first event of a key may have any sequence. Any other event would be out of order, so it stops its key.
 */
export function planBatch(batch: readonly Unsent[], before: SentBefore | null = null): Plan {
  const lastByKey = new Map<string, number>();
  const stopped = new Set(before?.stopped);
  const sendable: Unsent[] = [];
  const poison: Poison[] = [];
  for (const unsent of batch) {
    const { key, sequence, isParked } = unsent;
    if (isParked || stopped.has(key)) continue;
    const last = lastByKey.get(key) ?? latest(unsent.lastSent, before?.last.get(key));
    if (last !== null && sequence !== last + 1) {
      stopped.add(key);
      poison.push(poisonAt(unsent, `event ${sequence} does not follow event ${last}`));
      continue;
    }
    lastByKey.set(key, sequence);
    sendable.push(unsent);
  }
  return { sendable, poison };
}

function latest(marked: number | null, sent: number | undefined): number | null {
  return sent === undefined ? marked : Math.max(sent, marked ?? sent);
}

export function poisonAt({ key, sequence }: Unsent, reason: string): Poison {
  return { key, sequence, reason };
}

/** Keeps the first poison event of each key, which stops all later ones. */
export function firstOfEachKey(poison: readonly Poison[]): Poison[] {
  const first = new Map<string, Poison>();
  for (const found of poison) {
    const earlier = first.get(found.key);
    if (earlier === undefined || found.sequence < earlier.sequence) first.set(found.key, found);
  }
  return [...first.values()];
}

/** A parked key, as operators see it. */
export interface ParkedKey {
  readonly key: string;
  readonly reason: string;
  readonly parkedAt: string;
  /** Whether the relay will retry it. */
  readonly retry: boolean;
  /** Parked events of the key. */
  readonly waiting: number;
}

/** Progress of the relay and of the consumers. */
export interface RelayStatus {
  /** Rows in the outbox: transfers and other events that have not been sent. */
  readonly unsent: number;
  readonly oldestAgeSeconds: number | null;
  /** The active relay; null if no lease is valid. */
  readonly holder: string | null;
  readonly epoch: number;
  readonly lastPosition: number;
  readonly parkedKeys: number;
  readonly parkedEvents: number;
  /** Age of the oldest event that is stored, or null if there is none, and a consumer that has not read it. */
  readonly storedSeconds: number | null;
  readonly oldestUnreadBy: string | null;
  readonly consumers: readonly ConsumerPosition[];
  readonly deferred: readonly Deferred[];
}

/** What a consumer has deferred: events that it handles later, in turns of their owners. */
export interface Deferred {
  readonly consumer: string;
  readonly owners: number;
  readonly events: number;
  readonly oldestAgeSeconds: number;
}

/** The position of a consumer in one partition of the log. */
export interface ConsumerPosition {
  readonly consumer: string;
  readonly partition: number;
  readonly position: number;
}

/** Size and age of the outbox, for metrics. */
export interface Backlog {
  /** An upper bound of the rows: it includes unused ids, so that it is cheap to read. */
  readonly rowsMax: number;
  /** Age of the oldest row. */
  readonly ageSeconds: number;
}
