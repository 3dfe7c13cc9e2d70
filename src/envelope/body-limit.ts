import { PieceReader } from '../utils/piece-reader.ts';
import { UNMATCHED } from '../utils/unmatched.ts';
import { ArrivingBody } from './arriving-body.ts';
import type { ArrivingChunks, Exchange, FetchHandler, Middleware } from './exchange.ts';
import type { Admission } from './load-shedding.ts';
import { type JsonFault, type JsonLimits, jsonScanner } from './scan-json.ts';

// What some clients send for a body that is not encoded.
const IDENTITY = /^(?:identity)?$/i;

/** Creates the errors that the layer throws. */
export interface BodyLimitOptions {
  readonly json: JsonLimits;
  readonly tooLarge: (limitBytes: number) => Error;
  /** A body with a `Content-Encoding`. */
  readonly encoded: (encoding: string) => Error;
  readonly tooDeep: (depthMax: number) => Error;
  /** JSON that would not be read as it is written. */
  readonly altered: (kind: JsonFault['kind'], text: string, at: number) => Error;
  readonly notUtf8: () => Error;
  readonly broken: (cause: unknown) => Error;
  /** Called before a body is buffered, and when it has arrived. Each returns the error that refuses it, or null. */
  readonly admission: Pick<Admission, 'expectBody' | 'expectChunks' | 'reserve'>;
  /** A streamed body whose sender is too slow. */
  readonly stalled: () => Error;
  /** A streamed body that ended early, at the deadline or with its connection. */
  readonly cut: (cause: unknown) => Error;
}

/**
 * Reads a body up to the limit of its route, and checks JSON before anything parses it: its encoding, its depth, and
 * whether it would be read as it is written. Later layers get `exchange.bufferedBody`, or `exchange.body` on routes
 * that stream it. A body to no route is not read: anybody can send one, without a key.
 */
export function bodyLimit(options: BodyLimitOptions): Middleware {
  const decode = decoder(options);

  function buffer(
    next: FetchHandler,
    request: Request,
    exchange: Exchange,
    isDeclared: boolean,
  ): Promise<Response> {
    const limitBytes = exchange.route.bodyLimitBytes;
    const read = isDeclared ? request.bytes() : readBounded(request, exchange);
    return new Promise((resolve, reject) => {
      let isAborted = false;
      const abort = (error: Error) => {
        isAborted = true;
        reject(error);
      };
      // Stops waiting at the deadline: a caller that sends one byte per second must not hold its permit longer.
      exchange.onAbort = () => abort(options.broken(exchange.abortReason));
      if (exchange.chunks !== null) exchange.chunks.onEnded = abort;
      const proceed = (bytes: Uint8Array | null) => {
        if (isAborted) return;
        exchange.onAbort = null;
        exchange.chunks?.arrived();
        exchange.arrivedMs = performance.now();
        exchange.isBuffered = bytes !== null;
        if (bytes === null || bytes.byteLength > limitBytes) throw options.tooLarge(limitBytes);
        const refused = options.admission.reserve(exchange, bytes.byteLength);
        if (refused !== null) throw refused;
        exchange.bufferedBody = isJson(request) ? decode(bytes) : bytes;
        resolve(next(request, exchange));
      };
      read
        .then(proceed, (error) => {
          exchange.onAbort = null;
          throw options.broken(error);
        })
        .catch(reject);
    });
  }

  return (next) => (request, exchange) => {
    const { method, headers } = request;
    if (exchange.route.pattern === UNMATCHED) return next(request, exchange);
    const isRead = method !== 'GET' && method !== 'HEAD';
    const declared = isRead ? Number(headers.get('content-length') ?? Number.NaN) : 0;
    const limitBytes = exchange.route.bodyLimitBytes;
    if (declared > limitBytes) throw options.tooLarge(limitBytes);
    const encoding = isRead ? headers.get('content-encoding') : null;
    if (encoding !== null && !IDENTITY.test(encoding)) throw options.encoded(encoding);
    if (exchange.isChunked) {
      const refusal = options.admission.expectChunks(exchange);
      if (refusal !== null) throw refusal;
    }
    // The server itself drops a body that nothing reads; `closeUnread` ends one in chunks.
    if (!isRead) return untilEnded(next(request, exchange), exchange.chunks, null);
    const isDeclared = !Number.isNaN(declared);
    // HTTP/2 and curl -X POST may send neither a Content-Length nor a body.
    if (declared === 0 || (!isDeclared && request.body === null)) return next(request, exchange);
    if (exchange.route.streamsBody) {
      exchange.allowSilence();
      const body = new ArrivingBody(request.body!, exchange, options);
      exchange.body = body;
      return untilEnded(next(request, exchange), exchange.chunks, body);
    }
    const refusal = options.admission.expectBody(exchange, isDeclared ? declared : 0);
    if (refusal !== null) throw refusal;
    return buffer(next, request, exchange, isDeclared);
  };
}

/** Returns the response, or throws as soon as load shedding ends the body while it arrives. */
function untilEnded(
  response: Response | Promise<Response>,
  chunks: ArrivingChunks | null,
  body: ArrivingBody | null,
): Response | Promise<Response> {
  if (chunks === null || !(response instanceof Promise)) return response;
  return new Promise((resolve, reject) => {
    chunks.onEnded = (error) => {
      body?.end(error);
      reject(error);
    };
    response.then(resolve, reject);
  });
}

/** Returns a function that decodes a body that may be JSON, and throws if it would not be read as it is written. */
function decoder({ json, notUtf8, tooDeep, altered }: BodyLimitOptions): (bytes: Uint8Array) => string {
  const scan = jsonScanner(json);
  // `ignoreBOM` keeps a byte order mark in the text, so that it is rejected below (RFC 8259, section 8.1).
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

  return (bytes) => {
    let text: string;
    try {
      text = utf8.decode(bytes);
    } catch {
      throw notUtf8();
    }
    if (text.startsWith('\uFEFF')) throw notUtf8();
    const fault = scan(text);
    if (fault === null) return text;
    if (fault.kind === 'deep') throw tooDeep(json.depthMax);
    if (isValid(text)) throw altered(fault.kind, text, fault.at);
    return text;
  };
}

function isValid(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function isJson(request: Request): boolean {
  return /json/i.test(request.headers.get('content-type') ?? '');
}

/** Returns null if the body exceeds the limit, and drops the rest of it. */
async function readBounded(request: Request, { chunks, route }: Exchange): Promise<Uint8Array | null> {
  if (request.body === null) return new Uint8Array();
  const reader = new PieceReader(request.body);
  const pieces: Uint8Array[] = [];
  let length = 0;
  for (let piece = await reader.read(); piece !== null; piece = await reader.read()) {
    length += piece.byteLength;
    chunks?.add(piece.byteLength);
    if (length > route.bodyLimitBytes) {
      reader.cancel();
      return null;
    }
    pieces.push(piece);
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const piece of pieces) {
    bytes.set(piece, offset);
    offset += piece.byteLength;
  }
  return bytes;
}
