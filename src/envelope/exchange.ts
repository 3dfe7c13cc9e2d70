import type { Abortable } from '../utils/abortable.ts';
import { callerTimeoutMs } from './caller-timeout.ts';

/** How much a request matters when not all can be served (the SLO tiers of the product). */
export type Tier = 'critical' | 'default' | 'non-critical';

/** What is known of a route before it is entered. */
export interface MatchedRoute {
  /** Position in the preallocated arrays of figures. */
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
  /** Whether answers of this route can be large enough to be worth compressing. */
  readonly compressible: boolean;
}

/** Who asks. `owner` scopes idempotency keys; it is the owner of the API key, not the key. */
export interface Principal {
  readonly owner: string;
  readonly keyId: string;
  readonly scopes: readonly string[];
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
  readonly #request: Request;
  #deadlineMs = Number.NaN;
  #controller: AbortController | null = null;
  #abortReason: AbortReason | null = null;
  #onAbort: (() => void) | null = null;

  constructor(request: Request, route: MatchedRoute, startMs: number) {
    this.#request = request;
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

  set onAbort(listener: (() => void) | null) {
    this.#onAbort = listener;
    if (this.#abortReason !== null) listener?.();
  }

  abort(reason: AbortReason): void {
    if (this.#abortReason !== null) return;
    this.#abortReason = reason;
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
