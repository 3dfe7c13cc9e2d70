import { AtlasError } from '../../../errors.ts';
import { greetingBlock, HEARTBEAT_BLOCK } from './domain.ts';

/**
 * Why a stream ended. `slow`: it was not read for too long. `key`: its API key was revoked or has expired. `expired`:
 * events that it has not sent were deleted after their retention.
 */
export type EndReason = 'client' | 'drain' | 'age' | 'slow' | 'key' | 'expired';

/** Times of a stream, in milliseconds. */
export interface StreamTimes {
  readonly heartbeatMs: number;
  /** Maximum age. The client then reconnects, to any worker. */
  readonly ageMaxMs: number;
  /** How long a block may stay unread. */
  readonly unreadMs: number;
  /** When the client should reconnect after the end. */
  readonly retryMs: number;
}

/** Serialized events, and the position after them. */
export interface StreamPage {
  readonly bytes: Uint8Array;
  readonly events: number;
  readonly lastPosition: number;
  /** Whether more events may follow immediately. */
  readonly isFull: boolean;
}

/** Dependencies of {@link EventStream}. */
export interface StreamParts {
  /** Returns the events after the position, or null if there are none. */
  readonly read: (position: number, signal: AbortSignal) => Promise<StreamPage | null>;
  readonly isKeyUsable: (signal: AbortSignal) => Promise<boolean>;
  readonly onSent: (events: number) => void;
  readonly onFailure: (error: unknown) => void;
  readonly onEnd: (reason: EndReason) => void;
}

// A revoked key stops working within 5 s: nothing is sent if the last check is older than this.
const KEY_CHECK_MS = 4000;
const FAILURE_WAIT_MS = 1000;
const encoder = new TextEncoder();

/** What the stream has to send, heartbeats aside. */
type Due = 'greeting' | 'events' | 'nothing';

/**
 * One open stream of server-sent events. It has no queue: when the client is ready it reads the next page, or sleeps
 * until {@link EventStream.notify}. A failed read is retried from the same position, so the client can resume after an
 * end at any moment without missing events.
 */
export class EventStream {
  readonly body: ReadableStream<Uint8Array>;
  readonly #times: StreamTimes;
  readonly #parts: StreamParts;
  readonly #ended = new AbortController();
  readonly #endsAtMs: number;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #position: number;
  #due: Due = 'greeting';
  /** When the last block was handed over, until the client reads it; null while the client waits for more. */
  #unreadSinceMs: number | null;
  #sentMs: number;
  #notBeforeMs = 0;
  #keyCheckedMs = Number.NEGATIVE_INFINITY;
  #wakeUp: (() => void) | null = null;

  constructor(position: number, times: StreamTimes, parts: StreamParts) {
    const nowMs = performance.now();
    this.#position = position;
    this.#times = times;
    this.#parts = parts;
    this.#endsAtMs = nowMs + times.ageMaxMs;
    this.#unreadSinceMs = nowMs;
    this.#sentMs = nowMs;
    this.body = new ReadableStream(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#pull(),
        cancel: () => this.#end('client'),
      },
      { highWaterMark: 0 },
    );
  }

  /** There may be new events. */
  notify(): void {
    if (this.#due !== 'greeting') this.#due = 'events';
    this.#wakeUp?.();
  }

  /** Checks the timeouts. Call about once a second. */
  tick(nowMs: number): void {
    if (nowMs >= this.#endsAtMs) this.end('age');
    else if (this.#unreadSinceMs !== null && nowMs - this.#unreadSinceMs > this.#times.unreadMs)
      this.end('slow');
    else this.#wakeUp?.();
  }

  /** Ends the stream gracefully, once. Blocks handed over before still reach the client. */
  end(reason: EndReason): void {
    if (this.#ended.signal.aborted) return;
    this.#controller.close();
    this.#end(reason);
  }

  #end(reason: EndReason): void {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort();
    this.#wakeUp?.();
    this.#parts.onEnd(reason);
  }

  async #pull(): Promise<void> {
    this.#unreadSinceMs = null;
    const bytes = await this.#next();
    if (bytes === null || this.#ended.signal.aborted) return;
    this.#sentMs = performance.now();
    this.#unreadSinceMs = this.#sentMs;
    this.#controller.enqueue(bytes);
  }

  /** Returns the next block to send, or null once the stream has ended. */
  async #next(): Promise<Uint8Array | null> {
    while (!this.#ended.signal.aborted) {
      if (this.#due === 'greeting') {
        this.#due = 'events';
        return encoder.encode(greetingBlock(this.#position, this.#times.retryMs));
      }
      const nowMs = performance.now();
      if (this.#due === 'events' && nowMs >= this.#notBeforeMs) {
        const bytes = await this.#read();
        if (bytes !== null) return bytes;
      } else if (nowMs - this.#sentMs >= this.#times.heartbeatMs) {
        if (await this.#mayHeartbeat()) return encoder.encode(HEARTBEAT_BLOCK);
      } else await this.#sleep();
    }
    return null;
  }

  async #read(): Promise<Uint8Array | null> {
    this.#due = 'nothing';
    try {
      const page = await this.#parts.read(this.#position, this.#ended.signal);
      if (page === null || !(await this.#isAllowed())) return null;
      this.#position = page.lastPosition;
      if (page.isFull) this.#due = 'events';
      this.#parts.onSent(page.events);
      return page.bytes;
    } catch (error) {
      if (this.#ended.signal.aborted) return null;
      if (error instanceof AtlasError && error.code === 'events_expired') {
        this.end('expired');
        return null;
      }
      this.#due = 'events';
      this.#notBeforeMs = performance.now() + Math.random() * FAILURE_WAIT_MS;
      this.#parts.onFailure(error);
      return null;
    }
  }

  /** Whether a heartbeat may be sent. If the key cannot be checked it may: silence would look like a dead stream. */
  async #mayHeartbeat(): Promise<boolean> {
    try {
      return await this.#isAllowed();
    } catch (error) {
      this.#parts.onFailure(error);
      return !this.#ended.signal.aborted;
    }
  }

  /** Whether the stream is open and its key usable. Ends the stream if the key is not. */
  async #isAllowed(): Promise<boolean> {
    const nowMs = performance.now();
    if (nowMs - this.#keyCheckedMs > KEY_CHECK_MS) {
      if (await this.#parts.isKeyUsable(this.#ended.signal)) this.#keyCheckedMs = nowMs;
      else this.end('key');
    }
    return !this.#ended.signal.aborted;
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      this.#wakeUp = () => {
        this.#wakeUp = null;
        resolve();
      };
    });
  }
}
