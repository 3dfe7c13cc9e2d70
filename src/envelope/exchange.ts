import type { Abortable } from '../utils/abortable.ts';
import type { Tier } from '../utils/tier.ts';
import { callerTimeoutMs } from './caller-timeout.ts';

/** What is known of a route before it is entered. */
export interface MatchedRoute {
  /** Position in the preallocated arrays of stats. */
  readonly index: number;
  readonly method: string;
  /** The OpenAPI pattern, never the raw path. `unmatched` where no route fits. */
  readonly pattern: string;
  readonly tier: Tier;
  /** The scope that a key needs, or null where no key is asked for. */
  readonly scope: string | null;
  /** False for health, metrics and docs: they answer when everything else is refused. */
  readonly sheddable: boolean;
  /** What the route may have to wait in line for, such as `database`, or null where it only computes. */
  readonly resource: string | null;
  readonly timeoutMs: number;
  readonly bodyLimitBytes: number;
  /** Whether the body is handed on while it arrives (`exchange.body`) instead of being read before. */
  readonly streamsBody: boolean;
  /** Whether answers of this route can be large enough to be worth compressing. */
  readonly compressible: boolean;
}

/** Who asks. `owner` scopes idempotency keys; it is the owner of the API key, not the key. */
export interface Principal {
  readonly owner: string;
  readonly keyId: string;
  readonly scopes: readonly string[];
}

/** What the server that a request came through lets one say of its connection. `Bun.serve` hands over one of these. */
export interface Connection {
  /** Seconds of silence after which the connection of the request is cut; 0 for never. */
  timeout(request: Request, seconds: number): void;
}

/** A body that arrives while it is read. Who stops reading before its end has the rest of it cancelled. */
export interface BodyStream extends AsyncIterable<Uint8Array> {
  /** Whether it was read to its end. */
  readonly isRead: boolean;
}

/** Why a request was given up: its deadline passed, or the caller went away. */
export class AbortReason extends Error {
  readonly kind: 'deadline' | 'disconnect';
  constructor(kind: 'deadline' | 'disconnect') {
    super(kind === 'deadline' ? 'the deadline of the request passed' : 'the caller closed the connection');
    this.name = 'AbortError';
    this.kind = kind;
  }
}

// The most that Bun takes: what a slow reader has still to fetch of an answer must go within it too.
const SILENCE_SECONDS = 255;

// Version 00 has exactly these four fields; an all-zero trace or parent id is invalid (W3C Trace Context, section 3.2).
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/**
 * All that is known of one request on its way, in one object of one shape. It is the env of Hono, so handlers reach it
 * as `c.env`. Times are milliseconds of the monotonic clock.
 */
export class Exchange implements Abortable {
  requestId = '';
  route: MatchedRoute;
  principal: Principal | null = null;
  readonly startMs: number;
  /** When its work began, after its body was read; -1 before that. */
  begunMs = -1;
  /** The body of a route that streams it; null elsewhere, and where there is none. */
  body: BodyStream | null = null;
  readonly #request: Request;
  readonly #connection: Connection | null;
  #deadlineMs = Number.NaN;
  #controller: AbortController | null = null;
  #abortReason: AbortReason | null = null;
  #onAbort: (() => void) | null = null;
  #isSilent = false;

  constructor(request: Request, route: MatchedRoute, startMs: number, connection: Connection | null = null) {
    this.#request = request;
    this.#connection = connection;
    this.route = route;
    this.startMs = startMs;
  }

  /** The `traceparent` header of the caller if it is well formed (W3C Trace Context), else an empty string. */
  get traceparent(): string {
    const given = this.#request.headers.get('traceparent');
    return given !== null && TRACEPARENT.test(given) ? given : '';
  }

  /** The smaller of what the route allows and what the caller will wait. Read when asked for: most never ask. */
  get deadlineMs(): number {
    if (Number.isNaN(this.#deadlineMs)) {
      const timeoutMs = Math.min(this.route.timeoutMs, callerTimeoutMs(this.#request.headers));
      this.#deadlineMs = this.startMs + timeoutMs;
    }
    return this.#deadlineMs;
  }

  /** Aborts at the deadline or when the caller goes away. Made when first asked for: most requests never need it. */
  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#abortReason !== null) this.#controller.abort(this.#abortReason);
      else if (this.#request.signal.aborted) this.abort(new AbortReason('disconnect'));
      else {
        const disconnected = () => this.abort(new AbortReason('disconnect'));
        this.#request.signal.addEventListener('abort', disconnected, { once: true });
      }
    }
    return this.#controller.signal;
  }

  get abortReason(): AbortReason | null {
    if (this.#abortReason === null && this.#request.signal.aborted) this.abort(new AbortReason('disconnect'));
    return this.#abortReason;
  }

  /**
   * Has the server leave the connection open however long nothing moves on it, until {@link endSilence}. Who asks for
   * it bounds that itself.
   */
  allowSilence(): void {
    if (this.#abortReason !== null) return;
    this.#isSilent = true;
    this.#connection?.timeout(this.#request, 0);
  }

  /** To be called with the answer, or its last bytes: the server keeps the connection for ever otherwise. */
  endSilence(): void {
    if (!this.#isSilent) return;
    this.#isSilent = false;
    this.#connection?.timeout(this.#request, SILENCE_SECONDS);
  }

  set onAbort(listener: (() => void) | null) {
    this.#onAbort = listener;
    if (this.#abortReason !== null) listener?.();
  }

  abort(reason: AbortReason): void {
    if (this.#abortReason !== null) return;
    this.#abortReason = reason;
    this.endSilence();
    this.#controller?.abort(reason);
    this.#onAbort?.();
  }
}

/** A fetch handler that is told about the exchange. Answers synchronously where it can. */
export type FetchHandler = (request: Request, exchange: Exchange) => Response | Promise<Response>;

/** One layer of the pipeline, composed once at start-up (the onion of Koa and Hono, over web standards only). */
export type Middleware = (next: FetchHandler) => FetchHandler;

/** Turns whatever was thrown into a response (RFC 9457). Handed in: the pipeline knows no error of the app. */
export type ToProblem = (error: unknown, exchange: Exchange) => Response;
