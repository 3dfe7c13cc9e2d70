import { AtlasError } from '../../../errors.ts';
import { limitConcurrency } from '../../../utils/concurrency.ts';
import type { Lifecycle } from '../../../utils/lifecycle.ts';
import { SingleFlight } from '../../../utils/single-flight.ts';
import { throttle } from '../../../utils/throttle.ts';
import { eventBlock } from './domain.ts';
import type { EventRepository } from './repository.ts';
import { type EndReason, EventStream, type StreamPage, type StreamTimes } from './stream.ts';
import { EventTail } from './tail.ts';

/** Who follows events. */
export interface Reader {
  readonly owner: string;
  readonly keyId: string;
}

/** What the streams of a worker are made of. */
export interface StreamsOptions {
  readonly repository: EventRepository;
  readonly isKeyUsable: (keyId: string, signal: AbortSignal) => Promise<boolean>;
  readonly lifecycle: Pick<Lifecycle, 'draining'>;
  /** Told of failures, at most one in ten seconds. */
  readonly onFailure: (error: unknown) => void;
  readonly heartbeatMs: number;
  /** Streams of one worker, and of one owner on it. */
  readonly streamsMax: number;
  readonly streamsOfOwnerMax: number;
}

/** Streams of this process: open now, and counted since it started. */
export interface StreamStats {
  readonly open: number;
  readonly events: number;
  readonly failures: number;
  readonly refused: Readonly<Record<'worker' | 'owner', number>>;
  readonly ended: Readonly<Record<EndReason, number>>;
}

interface OwnerStreams {
  readonly streams: Set<EventStream>;
  /** Grows when events have come, so that nobody joins a read that began before. */
  news: number;
}

const POLL_MS = 100;
const POLLS_PER_TICK = 10;
const PAGE_EVENTS = 50;
// Together with those of payments on the pool, streams never read more pages than this at a time.
const READS_MAX = 4;
const READ_TIMEOUT_MS = 5000;
const LIFE_MS = 900_000;
const UNREAD_MS = 60_000;
const RETRY_MS = 1000;
const RETRY_AFTER_SECONDS = 5;
const REPORT_MS = 10_000;
const encoder = new TextEncoder();

/** From half to one and a half: so that what began together does not come back together. */
const spread = (value: number) => Math.round(value * (0.5 + Math.random()));

/** Also ends what PostgreSQL does not answer, so that the others get their turn. */
const soon = (signal: AbortSignal) => AbortSignal.any([signal, AbortSignal.timeout(READ_TIMEOUT_MS)]);

/** The open streams of a worker. One timer serves them all, and runs while there are any. */
export class EventStreams {
  readonly #options: StreamsOptions;
  readonly #owners = new Map<string, OwnerStreams>();
  readonly #reads: SingleFlight<StreamPage | null>;
  readonly #report: (error: unknown) => void;
  readonly #inTurn = limitConcurrency(READS_MAX);
  readonly #refused = { worker: 0, owner: 0 };
  readonly #ended: Record<EndReason, number> = { client: 0, drain: 0, age: 0, slow: 0, key: 0 };
  #open = 0;
  #events = 0;
  #failures = 0;
  #timer: Timer | null = null;

  constructor(options: StreamsOptions) {
    this.#options = options;
    this.#report = throttle(REPORT_MS, options.onFailure);
    this.#reads = new SingleFlight(options.streamsMax);
  }

  stats(): StreamStats {
    return {
      open: this.#open,
      events: this.#events,
      failures: this.#failures,
      refused: this.#refused,
      ended: this.#ended,
    };
  }

  /** Throws `too_many_streams` when no other stream of the owner may be opened. */
  requireRoom(owner: string): void {
    const { streamsMax, streamsOfOwnerMax } = this.#options;
    const ofOwner = this.#owners.get(owner)?.streams.size ?? 0;
    if (ofOwner < streamsOfOwnerMax && this.#open < streamsMax) return;
    const isOwners = ofOwner >= streamsOfOwnerMax;
    this.#refused[isOwners ? 'owner' : 'worker']++;
    const detail = isOwners
      ? `${ofOwner} streams of your keys are open on this worker.`
      : `${this.#open} streams are open on this worker.`;
    throw new AtlasError('too_many_streams', detail, { retryAfterSeconds: spread(RETRY_AFTER_SECONDS) });
  }

  /** Opens a stream of the reader's events after the position. It ends when the signal aborts. Throws as above. */
  open({ owner, keyId }: Reader, position: number, signal: AbortSignal): ReadableStream<Uint8Array> {
    this.requireRoom(owner);
    const group = this.#owners.get(owner) ?? { streams: new Set(), news: 0 };
    this.#owners.set(owner, group);
    const leave = () => stream.end('client');
    const stream = new EventStream(position, this.#times(), {
      read: (after, left) => this.#read(owner, group, after, left),
      isKeyUsable: (left) => this.#inTurn(() => this.#options.isKeyUsable(keyId, soon(left))),
      onSent: (events) => {
        this.#events += events;
      },
      onFailure: (error) => this.#fail(error),
      onEnd: (reason) => {
        signal.removeEventListener('abort', leave);
        this.#forget(owner, group, stream, reason);
      },
    });
    signal.addEventListener('abort', leave, { once: true });
    group.streams.add(stream);
    this.#open++;
    if (this.#timer === null) this.#start();
    return stream.body;
  }

  #times(): StreamTimes {
    return {
      heartbeatMs: this.#options.heartbeatMs,
      lifeMs: spread(LIFE_MS),
      unreadMs: UNREAD_MS,
      retryMs: spread(RETRY_MS),
    };
  }

  /** Reads a page once for all streams of the owner that stand at the same position. */
  #read(owner: string, group: OwnerStreams, after: number, left: AbortSignal): Promise<StreamPage | null> {
    const { repository } = this.#options;
    const read = async (signal: AbortSignal) => {
      const events = await this.#inTurn(() => repository.listAfter(owner, after, PAGE_EVENTS, soon(signal)));
      if (events.length === 0) return null;
      return {
        bytes: encoder.encode(events.map(eventBlock).join('')),
        events: events.length,
        lastPosition: events.at(-1)!.position,
        isFull: events.length === PAGE_EVENTS,
      };
    };
    return this.#reads.run(`${group.news} ${after} ${owner}`, read, left);
  }

  #fail(error: unknown): void {
    this.#failures++;
    this.#report(error);
  }

  #forget(owner: string, group: OwnerStreams, stream: EventStream, reason: EndReason): void {
    this.#open--;
    this.#ended[reason]++;
    group.streams.delete(stream);
    if (group.streams.size === 0) this.#owners.delete(owner);
    if (this.#open > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }

  #start(): void {
    const { repository, lifecycle } = this.#options;
    const tail = new EventTail(
      repository,
      (owners) => this.#tell(owners),
      (error) => this.#fail(error),
    );
    let polls = 0;
    this.#timer = setInterval(() => {
      if (lifecycle.draining) this.#endAll();
      else void tail.poll();
      if (++polls % POLLS_PER_TICK === 0) this.#tick(performance.now());
    }, POLL_MS);
  }

  #tell(owners: readonly string[] | 'all'): void {
    for (const owner of owners === 'all' ? this.#owners.keys() : owners) {
      const group = this.#owners.get(owner);
      if (group === undefined) continue;
      group.news++;
      for (const stream of group.streams) stream.tell();
    }
  }

  #tick(nowMs: number): void {
    for (const { streams } of this.#owners.values()) for (const stream of streams) stream.tick(nowMs);
  }

  /** So that the process can end: clients come back, to a worker that stays. */
  #endAll(): void {
    for (const { streams } of this.#owners.values()) for (const stream of streams) stream.end('drain');
  }
}
