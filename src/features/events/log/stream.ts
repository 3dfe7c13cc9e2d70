import { greetingBlock, HEARTBEAT_BLOCK } from './domain.ts';

/** Why a stream ended. `slow`: nobody read it for long. `key`: its key was revoked or has expired. */
export type EndReason = 'client' | 'drain' | 'age' | 'slow' | 'key';

/** Times of a stream, in milliseconds. */
export interface StreamTimes {
  readonly heartbeatMs: number;
  /** How long it lives. The client then comes back, to whichever worker has room. */
  readonly lifeMs: number;
  /** How long what was handed over may stay unread. */
  readonly unreadMs: number;
  /** When the client should come back after the end. */
  readonly retryMs: number;
}

/** Events as they are sent, with where the stream stands after them. */
export interface StreamPage {
  readonly bytes: Uint8Array;
  readonly events: number;
  readonly lastPosition: number;
  /** Whether there may be more right behind. */
  readonly isFull: boolean;
}

/** What a stream asks of the others. */
export interface StreamParts {
  /** Reads on; null where there is nothing. */
  readonly read: (position: number, signal: AbortSignal) => Promise<StreamPage | null>;
  readonly isKeyUsable: (signal: AbortSignal) => Promise<boolean>;
  readonly onSent: (events: number) => void;
  readonly onFailure: (error: unknown) => void;
  readonly onEnd: (reason: EndReason) => void;
}

// A revoked key is dead within 5 s: nothing is sent to one that was not looked at for longer than this.
const KEY_CHECK_MS = 4000;
const FAILURE_WAIT_MS = 1000;
const encoder = new TextEncoder();

/**
 * One open stream of server-sent events. It has no queue: when its reader is ready it reads its own next page, or
 * sleeps until {@link EventStream.tell} says that there is something. What fails is tried again from the same position,
 * so an end at any moment loses nothing that the client cannot resume.
 */
export class EventStream {
  readonly body: ReadableStream<Uint8Array>;
  readonly #times: StreamTimes;
  readonly #parts: StreamParts;
  readonly #left = new AbortController();
  readonly #endsAtMs: number;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #position: number;
  #isGreeted = false;
  #hasNews = true;
  /** Since when what was handed over has not been taken; null while the reader waits for more. */
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
    this.#endsAtMs = nowMs + times.lifeMs;
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

  /** There may be events after those that it has. */
  tell(): void {
    this.#hasNews = true;
    this.#wakeUp?.();
  }

  /** Looks at the clock: to be called about once a second. */
  tick(nowMs: number): void {
    if (nowMs >= this.#endsAtMs) this.end('age');
    else if (this.#unreadSinceMs !== null && nowMs - this.#unreadSinceMs > this.#times.unreadMs)
      this.end('slow');
    else this.#wakeUp?.();
  }

  /** Ends it in order, once. What was handed over already still reaches the reader. */
  end(reason: EndReason): void {
    if (this.#left.signal.aborted) return;
    this.#controller.close();
    this.#end(reason);
  }

  #end(reason: EndReason): void {
    if (this.#left.signal.aborted) return;
    this.#left.abort();
    this.#wakeUp?.();
    this.#parts.onEnd(reason);
  }

  async #pull(): Promise<void> {
    this.#unreadSinceMs = null;
    const bytes = await this.#next();
    if (bytes === null || this.#left.signal.aborted) return;
    this.#sentMs = performance.now();
    this.#unreadSinceMs = this.#sentMs;
    this.#controller.enqueue(bytes);
  }

  /** What is to be sent next; null when the stream has ended. */
  async #next(): Promise<Uint8Array | null> {
    while (!this.#left.signal.aborted) {
      if (!this.#isGreeted) {
        this.#isGreeted = true;
        return encoder.encode(greetingBlock(this.#position, this.#times.retryMs));
      }
      const nowMs = performance.now();
      if (this.#hasNews && nowMs >= this.#notBeforeMs) {
        const bytes = await this.#read();
        if (bytes !== null) return bytes;
      } else if (nowMs - this.#sentMs >= this.#times.heartbeatMs) {
        if (await this.#mayGoOn()) return encoder.encode(HEARTBEAT_BLOCK);
      } else await this.#sleep();
    }
    return null;
  }

  async #read(): Promise<Uint8Array | null> {
    this.#hasNews = false;
    try {
      const page = await this.#parts.read(this.#position, this.#left.signal);
      if (page === null || !(await this.#isAllowed())) return null;
      this.#position = page.lastPosition;
      this.#hasNews ||= page.isFull;
      this.#parts.onSent(page.events);
      return page.bytes;
    } catch (error) {
      if (this.#left.signal.aborted) return null;
      this.#hasNews = true;
      this.#notBeforeMs = performance.now() + Math.random() * FAILURE_WAIT_MS;
      this.#parts.onFailure(error);
      return null;
    }
  }

  /** Whether a heartbeat may be sent. Where nobody can tell whether the key is good, silence would say less. */
  async #mayGoOn(): Promise<boolean> {
    try {
      return await this.#isAllowed();
    } catch (error) {
      this.#parts.onFailure(error);
      return !this.#left.signal.aborted;
    }
  }

  /** Whether the stream is still open and its key still good; ends it where the key is not. */
  async #isAllowed(): Promise<boolean> {
    const nowMs = performance.now();
    if (nowMs - this.#keyCheckedMs > KEY_CHECK_MS) {
      if (await this.#parts.isKeyUsable(this.#left.signal)) this.#keyCheckedMs = nowMs;
      else this.end('key');
    }
    return !this.#left.signal.aborted;
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
