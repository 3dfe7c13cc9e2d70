import { AtlasError } from '../../../errors.ts';
import { limitConcurrencyByOwner } from '../../../utils/concurrency.ts';
import { FairShares } from '../../../utils/fair-shares.ts';
import type { Lifecycle } from '../../../utils/lifecycle.ts';
import { SingleFlight } from '../../../utils/single-flight.ts';
import { throttle } from '../../../utils/throttle.ts';
import { eventsExpired } from '../../events-expired.ts';
import { eventBlock } from './domain.ts';
import type { EventRepository } from './repository.ts';
import { type EndReason, EventStream, type StreamPage, type StreamTimes } from './stream.ts';
import { EventTail } from './tail.ts';

/** The client of a stream. */
export interface Reader {
  readonly owner: string;
  readonly keyId: string;
}

/** Dependencies of {@link EventStreams}. */
export interface StreamsOptions {
  readonly repository: EventRepository;
  readonly isKeyUsable: (keyId: string, signal: AbortSignal) => Promise<boolean>;
  readonly lifecycle: Pick<Lifecycle, 'draining'>;
  /** Reports failures, at most one per ten seconds. */
  readonly onFailure: (error: unknown) => void;
  readonly heartbeatMs: number;
  /** Limits on this worker, in total and per owner. */
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
  /** Incremented on new events, so that no stream joins a read that started before them. */
  generation: number;
}

const POLL_MS = 100;
const POLLS_PER_TICK = 10;
const PAGE_EVENTS = 50;
// A slow client holds one page in memory, and serializing it holds up the others.
const PAGE_BYTES = 262_144;
// Page reads and key checks share the pool with payments, so only this many run at a time.
const READS_MAX = 4;
const READ_TIMEOUT_MS = 5000;
const AGE_MAX_MS = 900_000;
const UNREAD_MS = 60_000;
const RETRY_MS = 1000;
const RETRY_AFTER_SECONDS = 5;
const REPORT_MS = 10_000;
const encoder = new TextEncoder();

/** Jitter from 50 to 150 %, so that clients that connected together do not reconnect together. */
const jitter = (value: number) => Math.round(value * (0.5 + Math.random()));

/** Adds a timeout, so that a hanging query does not hold up the others. */
const withTimeout = (signal: AbortSignal) => AbortSignal.any([signal, AbortSignal.timeout(READ_TIMEOUT_MS)]);

/** The open streams of a worker. One timer serves them all, and runs while any is open. */
export class EventStreams {
  readonly #options: StreamsOptions;
  readonly #owners = new Map<string, OwnerStreams>();
  readonly #reads: SingleFlight<StreamPage | null>;
  readonly #report: (error: unknown) => void;
  readonly #limited = limitConcurrencyByOwner(READS_MAX);
  readonly #shares: FairShares;
  readonly #refused = { worker: 0, owner: 0 };
  readonly #ended: Record<EndReason, number> = { client: 0, drain: 0, age: 0, slow: 0, key: 0, expired: 0 };
  #events = 0;
  #failures = 0;
  #timer: Timer | null = null;

  constructor(options: StreamsOptions) {
    this.#options = options;
    this.#report = throttle(REPORT_MS, options.onFailure);
    this.#reads = new SingleFlight(options.streamsMax);
    this.#shares = new FairShares(options.streamsMax);
  }

  stats(): StreamStats {
    return {
      open: this.#shares.used,
      events: this.#events,
      failures: this.#failures,
      refused: this.#refused,
      ended: this.#ended,
    };
  }

  /** Throws `too_many_streams` if the owner may not open another stream: it has the maximum, or as many as are left. */
  requireSlot(owner: string): void {
    const ofOwner = this.#shares.held(owner);
    const refusal = ofOwner >= this.#options.streamsOfOwnerMax ? 'share' : this.#shares.check(owner);
    if (refusal === null) return;
    this.#refused[refusal === 'share' ? 'owner' : 'worker']++;
    const detail =
      refusal === 'share'
        ? `You already have ${ofOwner} open streams on this worker; the rest is for others. Close one of them.`
        : `This worker already has ${this.#shares.used} open streams, which is the maximum.`;
    throw new AtlasError('too_many_streams', detail, { retryAfterSeconds: jitter(RETRY_AFTER_SECONDS) });
  }

  /** Opens a stream of events after the position, until the signal aborts. Throws like {@link requireSlot}. */
  open({ owner, keyId }: Reader, position: number, signal: AbortSignal): ReadableStream<Uint8Array> {
    this.requireSlot(owner);
    const group = this.#owners.get(owner) ?? { streams: new Set(), generation: 0 };
    this.#owners.set(owner, group);
    const leave = () => stream.end('client');
    const stream = new EventStream(position, this.#times(), {
      read: (after, ended) => this.#read(owner, group, after, ended),
      isKeyUsable: (ended) =>
        this.#limited(owner, () => this.#options.isKeyUsable(keyId, withTimeout(ended))),
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
    this.#shares.take(owner);
    if (this.#timer === null) this.#start();
    return stream.body;
  }

  #times(): StreamTimes {
    return {
      heartbeatMs: this.#options.heartbeatMs,
      ageMaxMs: jitter(AGE_MAX_MS),
      unreadMs: UNREAD_MS,
      retryMs: jitter(RETRY_MS),
    };
  }

  /** Reads a page once for all streams of the owner at the same position. */
  #read(owner: string, group: OwnerStreams, after: number, ended: AbortSignal): Promise<StreamPage | null> {
    const { repository } = this.#options;
    const read = async (signal: AbortSignal) => {
      const { events, hasMore } = await this.#limited(owner, async () => {
        const page = await repository.listAfter(owner, after, PAGE_EVENTS, withTimeout(signal), PAGE_BYTES);
        if (page.events.length === 0) return page;
        // A stream that catches up with old events may be overtaken by their retention.
        const expired = await repository.lastExpired(owner, withTimeout(signal));
        if (expired !== null && expired.position > after) throw eventsExpired(expired);
        return page;
      });
      if (events.length === 0) return null;
      return {
        bytes: encoder.encode(events.map(eventBlock).join('')),
        events: events.length,
        lastPosition: events.at(-1)!.position,
        isFull: hasMore,
      };
    };
    return this.#reads.run(`${group.generation} ${after} ${owner}`, read, ended);
  }

  #fail(error: unknown): void {
    this.#failures++;
    this.#report(error);
  }

  #forget(owner: string, group: OwnerStreams, stream: EventStream, reason: EndReason): void {
    this.#shares.release(owner);
    this.#ended[reason]++;
    group.streams.delete(stream);
    if (group.streams.size === 0) this.#owners.delete(owner);
    if (this.#shares.used > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }

  #start(): void {
    const { repository, lifecycle } = this.#options;
    const tail = new EventTail(
      repository,
      (owners) => this.#notify(owners),
      (error) => this.#fail(error),
    );
    let polls = 0;
    this.#timer = setInterval(() => {
      if (lifecycle.draining) this.#endAll();
      else void tail.poll();
      if (++polls % POLLS_PER_TICK === 0) this.#tick(performance.now());
    }, POLL_MS);
  }

  #notify(owners: readonly string[] | 'all'): void {
    for (const owner of owners === 'all' ? this.#owners.keys() : owners) {
      const group = this.#owners.get(owner);
      if (group === undefined) continue;
      group.generation++;
      for (const stream of group.streams) stream.notify();
    }
  }

  #tick(nowMs: number): void {
    for (const { streams } of this.#owners.values()) for (const stream of streams) stream.tick(nowMs);
  }

  /** Lets the process exit: clients reconnect to another worker. */
  #endAll(): void {
    for (const { streams } of this.#owners.values()) for (const stream of streams) stream.end('drain');
  }
}
