import type { AtlasEvent } from '../../../utils/event.ts';

/** An event that has not been sent, with what the log says of its key. */
export interface Unsent {
  /** The row of the outbox that it comes from. A transfer has one for its two events. */
  readonly rowId: number;
  readonly key: string;
  readonly sequence: number;
  /** The last event of the key that was sent, or null where none was. */
  readonly lastSent: number | null;
  /** Whether the key waits for somebody to mend what is wrong with it. */
  readonly isParked: boolean;
  /** Null where nobody needs it: what stays in PostgreSQL is never read. */
  readonly event: AtlasEvent | null;
}

/** An event at which its key stops, with all that comes after it. */
export interface Poison {
  readonly key: string;
  readonly sequence: number;
  readonly reason: string;
}

/** What the batch in front did, while PostgreSQL may not know it yet. */
export interface SentBefore {
  /** By key, the last event that was sent. */
  readonly last: ReadonlyMap<string, number>;
  /** Keys that stopped. */
  readonly stopped: ReadonlySet<string>;
}

/** What of a batch may be sent, in order, and which keys stop. */
export interface Plan {
  readonly sendable: readonly Unsent[];
  readonly poison: readonly Poison[];
}

/**
 * Takes of a batch what continues its key: event n + 1 only where n is the last that was sent, or comes before it in
 * the batch. A first event of a key may have any number. Anything else would be read out of order, so its key stops.
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

function latest(known: number | null, sent: number | undefined): number | null {
  return sent === undefined ? known : Math.max(sent, known ?? sent);
}

export function poisonAt({ key, sequence }: Unsent, reason: string): Poison {
  return { key, sequence, reason };
}

/** Of everything that stops keys in a batch, what comes first of each key: all behind that stops with it. */
export function firstOfEachKey(poison: readonly Poison[]): Poison[] {
  const first = new Map<string, Poison>();
  for (const found of poison) {
    const known = first.get(found.key);
    if (known === undefined || found.sequence < known.sequence) first.set(found.key, found);
  }
  return [...first.values()];
}

/** A key that stopped, as it is told to whoever looks after Atlas. */
export interface ParkedKey {
  readonly key: string;
  readonly reason: string;
  readonly parkedAt: string;
  /** Whether it will be tried again at the next occasion. */
  readonly retry: boolean;
  /** Events that wait behind the reason. */
  readonly waiting: number;
}

/** How far events are. */
export interface RelayStatus {
  /** Rows of the outbox: transfers and other events that have not been sent. */
  readonly unsent: number;
  readonly oldestAgeSeconds: number | null;
  /** Who sends, while its lease lasts. */
  readonly holder: string | null;
  readonly epoch: number;
  readonly lastPosition: number;
  readonly parkedKeys: number;
  readonly parkedEvents: number;
  readonly consumers: readonly ConsumerPosition[];
}

/** How far a consumer is in one partition of the log. */
export interface ConsumerPosition {
  readonly consumer: string;
  readonly partition: number;
  readonly position: number;
}

/** What waits in the outbox, for the metrics. */
export interface Backlog {
  /** Rows, at most: numbers that were never used count too, so that the answer costs nothing. */
  readonly rowsMax: number;
  /** Seconds that the oldest one has waited. */
  readonly ageSeconds: number;
}
