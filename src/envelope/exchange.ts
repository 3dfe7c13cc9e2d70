import type { Abortable } from '../utils/abortable.ts';
import { noteCaller } from '../utils/signal-caller.ts';
import type { Tier } from '../utils/tier.ts';
import { callerTimeoutMs } from './caller-timeout.ts';
import { type Fields, PLAIN_HEADERS, type ResponseHeaders } from './response-headers.ts';

/** The properties of a route that the pipeline needs before the handler runs. */
export interface MatchedRoute {
  /** Index into the preallocated arrays of stats. */
  readonly index: number;
  readonly method: string;
  /** The OpenAPI pattern, never the raw path. `unmatched` if no route matches. */
  readonly pattern: string;
  readonly tier: Tier;
  /** The scope that a key needs, or null if the route needs no key. */
  readonly scope: string | null;
  /** False for health and metrics only: they stay available when everything else is refused. */
  readonly sheddable: boolean;
  /** The resource whose queue the route may wait in, such as `database`, or null if it only computes. */
  readonly resource: string | null;
  readonly timeoutMs: number;
  readonly bodyLimitBytes: number;
  /** Whether the handler reads the body as it arrives (`exchange.body`) instead of buffered. */
  readonly streamsBody: boolean;
  /** Whether responses of this route can be large enough to be worth compressing. */
  readonly compressible: boolean;
}

/** The authenticated caller. */
export interface Principal {
  /** Whose data it may reach: an organization, or its test space. Empty if it acts for none. */
  readonly owner: string;
  /** The organization that it belongs to. Empty if there is none. */
  readonly organization: string;
  readonly kind: 'key' | 'session' | 'operator';
  /** The public ID of its key or session. */
  readonly keyId: string;
  /** Whose session it is; null for keys. */
  readonly userId: string | null;
  /** The organization is suspended, so the caller may do nothing in it. */
  readonly suspended: boolean;
  readonly scopes: readonly string[];
  /** What bounds its requests, or null if nothing does. */
  readonly quota: RequestQuota | null;
}

/** What bounds the requests of a caller. Decides from memory. */
export interface RequestQuota {
  /** Takes one request, at a time of the monotonic clock. Returns null, or the error that refuses it. */
  take(nowMs: number): Error | null;
  /** What counts the request that was taken last while it is in flight, or null if nothing does. */
  readonly slots: RequestSlots | null;
}

/** Counts requests in flight. */
export interface RequestSlots {
  /** Call it once for each request that was taken, when it has ended. */
  release(): void;
}

/** Controls the connection of a request. `Bun.serve` passes an object like this. */
export interface Connection {
  /** Sets the idle timeout of the connection in seconds; 0 disables it. */
  timeout(request: Request, seconds: number): void;
  /** Returns the other end of the connection; null once it has ended. */
  requestIP(request: Request): { readonly address: string; readonly port: number } | null;
}

/** Returns the address of the client behind the address that a connection comes from. */
export type ClientAddressOf = (headers: Headers, peer: string) => string;

const PEER_IS_CLIENT: ClientAddressOf = (_headers, peer) => peer;

/** A body that is read as it arrives. Leaving the iteration early cancels the rest. */
export interface BodyStream extends AsyncIterable<Uint8Array> {
  /** Whether the body was read to the end. */
  readonly isRead: boolean;
}

/** A body in chunks, as load shedding sees it. */
export interface ArrivingChunks {
  /** Whether its reader waits for its sender, and not the other way round. */
  isWaiting: boolean;
  /** Notes that a piece of a streamed body has arrived. */
  add(bytes: number): void;
  /** Notes that the body has arrived, or that its request has a response. */
  arrived(): void;
  /** Called with the error that refuses the request if the body must end before it has arrived. */
  onEnded: ((error: Error) => void) | null;
}

/** Why a request was aborted: its deadline passed, or the caller disconnected. */
export class AbortReason extends Error {
  readonly kind: 'deadline' | 'disconnect';
  constructor(kind: 'deadline' | 'disconnect') {
    super(kind === 'deadline' ? 'the deadline of the request passed' : 'the caller closed the connection');
    this.name = 'AbortError';
    this.kind = kind;
  }
}

// The maximum of Bun. A slow reader must fetch the rest of a response within it.
const SILENCE_SECONDS = 255;

// Version 00 has exactly these four fields; an all-zero trace or parent id is invalid (W3C Trace Context, section 3.2).
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/**
 * The state of one request, in one object of one shape. It is the env of Hono, so handlers reach it as `c.env`. Times
 * are milliseconds of the monotonic clock.
 */
export class Exchange implements Abortable {
  requestId = '';
  route: MatchedRoute;
  principal: Principal | null = null;
  readonly startMs: number;
  /** When everything that the handler waits for had arrived: `startMs`, unless a layer waited for a key or a body. */
  arrivedMs: number;
  /** When the handler was done, if it returned synchronously or its response is compressed; NaN before and else. */
  endedMs = Number.NaN;
  /** When the work started, after the body was read; -1 before that. */
  workStartedMs = -1;
  /** The body on routes that stream it; null on other routes and without a body. */
  body: BodyStream | null = null;
  /** The body on all other routes: text if it may be JSON, else bytes; null without a body. */
  bufferedBody: string | Uint8Array | null = null;
  /** Whether that body arrived as a whole, valid or not. */
  isBuffered = false;
  /** Bytes that load shedding has reserved for a large body. */
  reservedBytes = 0;
  /** The body while it arrives in chunks. */
  chunks: ArrivingChunks | null = null;
  /** Whether load shedding counts the body as not arrived. */
  isArriving = false;
  /** What counts its permit toward its owner, or null if nothing does. */
  permitUse: RequestSlots | null = null;
  /** The code of the problem that was returned last, for the log; empty if there was none. */
  problem = '';
  /** Items of a batch that were refused in a response that succeeded, by code, for the log. */
  refusedItems: Readonly<Record<string, number>> | null = null;
  /** The prebuilt headers that responses are made from. */
  responseHeaders: ResponseHeaders = PLAIN_HEADERS;
  #made: Response | null = null;
  readonly #request: Request;
  readonly #connection: Connection | null;
  readonly #addressOf: ClientAddressOf;
  #clientAddress: string | null = null;
  #deadlineMs = Number.NaN;
  #controller: AbortController | null = null;
  #abortReason: AbortReason | null = null;
  #onAbort: (() => void) | null = null;
  #isSilent = false;
  #isChunked: boolean | null = null;

  constructor(
    request: Request,
    route: MatchedRoute,
    startMs: number,
    connection: Connection | null = null,
    addressOf: ClientAddressOf = PEER_IS_CLIENT,
  ) {
    this.#request = request;
    this.#connection = connection;
    this.#addressOf = addressOf;
    this.route = route;
    this.startMs = startMs;
    this.arrivedMs = startMs;
  }

  /** The `traceparent` header if it is well formed (W3C Trace Context), else an empty string. */
  get traceparent(): string {
    const given = this.#request.headers.get('traceparent');
    return given !== null && TRACEPARENT.test(given) ? given : '';
  }

  /** Whether a body arrives in chunks. Looked up once: of what a layer does, reading a header costs most. */
  get isChunked(): boolean {
    this.#isChunked ??= this.#request.headers.has('transfer-encoding');
    return this.#isChunked;
  }

  /**
   * The IP address of the client: the one that connected, or, if it is a trusted proxy, the one it forwards for. Found
   * on first use, and empty if the connection has ended by then, so what acts on it reads it before it waits.
   */
  get clientAddress(): string {
    if (this.#clientAddress === null) {
      const peer = this.#connection?.requestIP(this.#request)?.address;
      this.#clientAddress = peer === undefined ? '' : this.#addressOf(this.#request.headers, peer);
    }
    return this.#clientAddress;
  }

  /** The other end of the connection: the client or a proxy; null once it has ended. */
  get peer(): { readonly address: string; readonly port: number } | null {
    return this.#connection?.requestIP(this.#request) ?? null;
  }

  /** The earlier of the route's and the caller's deadline. Computed on first use: most requests never need it. */
  get deadlineMs(): number {
    if (Number.isNaN(this.#deadlineMs)) {
      const timeoutMs = Math.min(this.route.timeoutMs, callerTimeoutMs(this.#request.headers));
      this.#deadlineMs = this.startMs + timeoutMs;
    }
    return this.#deadlineMs;
  }

  /** Aborts at the deadline or when the caller disconnects. Created on first use: most requests never need it. */
  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      noteCaller(this.#controller.signal, this);
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

  /** The last response made here. It has all its headers, so no layer needs to add any. */
  get made(): Response | null {
    return this.#made;
  }

  /**
   * Makes a JSON response with all its headers. `fields` are those that only this response has.
   *
   * @example return exchange.json(toResource(account), 201, { Location: `/v1/accounts/${account.id}` });
   */
  json(value: unknown, status: number, fields?: Fields): Response {
    return this.respond(JSON.stringify(value), status, this.responseHeaders.json, fields);
  }

  /** Makes a response without a body and its media type. */
  empty(status: 204 | 304, fields?: Fields): Response {
    return this.respond(null, status, this.responseHeaders.empty, fields);
  }

  /** Makes a response from prebuilt headers (`responseHeaders`), which it shares with other requests. */
  respond(body: string | Blob | null, status: number, prebuilt: Headers, fields?: Fields): Response {
    // The response copies the headers. With an `await` between these lines, requests would get each other's IDs.
    prebuilt.set('x-request-id', this.requestId);
    const response = new Response(body, { status, headers: prebuilt });
    if (fields !== undefined) for (const name in fields) response.headers.set(name, fields[name]!);
    this.#made = response;
    return response;
  }

  /** Disables the idle timeout of the connection until {@link endSilence}. The caller must bound the wait. */
  allowSilence(): void {
    if (this.#abortReason !== null) return;
    this.#isSilent = true;
    this.#connection?.timeout(this.#request, 0);
  }

  /** Restores the idle timeout. Call it with the response or its last bytes, or the connection stays open forever. */
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

/** A fetch handler that also receives the exchange. Returns synchronously where it can. */
export type FetchHandler = (request: Request, exchange: Exchange) => Response | Promise<Response>;

/** One layer of the pipeline, composed once at startup (the onion model of Koa and Hono, on web standards only). */
export type Middleware = (next: FetchHandler) => FetchHandler;

/** Turns a thrown value into a response (RFC 9457). Injected, because the pipeline knows no errors of the app. */
export type ToProblem = (error: unknown, exchange: Exchange) => Response;
