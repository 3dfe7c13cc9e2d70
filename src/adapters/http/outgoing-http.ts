import net from 'node:net';
import tls from 'node:tls';
import { AtlasError } from '../../errors.ts';
import { orAbort } from '../../utils/or-abort.ts';
import { isPublicAddress } from '../../utils/public-address.ts';
import { type ResponseHead, readResponseHead } from '../../utils/response-head.ts';

/** Why an outgoing request got no response. */
export type OutgoingFailure =
  | 'target_refused'
  | 'name_not_resolved'
  | 'connection_failed'
  | 'tls_failed'
  | 'timeout'
  | 'invalid_answer';

/** An outgoing request got no response. The failures are few, so they can be metric labels. */
export class OutgoingError extends Error {
  readonly failure: OutgoingFailure;

  constructor(failure: OutgoingFailure, cause?: unknown) {
    super(`The request got no response: ${failure}.`, { cause });
    this.name = 'OutgoingError';
    this.failure = failure;
  }
}

export interface OutgoingRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Covers everything: resolving the name, connecting, sending, and receiving the head of the response. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Resolves a host name to all its addresses. Rejects if there are none. */
export type Resolve = (host: string) => Promise<readonly string[]>;

export interface OutgoingHttpOptions {
  /** Names and addresses that may be private, and may be called over plain HTTP. */
  readonly allowedHosts: readonly string[];
  readonly resolve?: Resolve;
  /** A certificate authority to trust instead of the default ones, as PEM. */
  readonly ca?: string;
}

const ADDRESSES_MAX = 4;
const RESOLVE_TIMEOUT_MS = 5000;
const CONNECT_TIMEOUT_MS = 5000;
const BODY_READ_BYTES_MAX = 4096;
const BODY_READ_MS_MAX = 1000;
// Lower ports belong to other protocols, none of which receives webhooks.
const PUBLIC_PORT_MIN = 1024;

// Without a thread of its own. The lookup of the C library blocks one of the few threads of the process for up to 20 s,
// so names whose servers are silent would stop reads and writes of files, and the lookups of everybody else.
const systemResolve: Resolve = async (host) =>
  (await Bun.dns.lookup(host, { backend: 'c-ares' })).map(({ address }) => address);

/**
 * Sends requests to URLs chosen by users without reaching what only Atlas can reach (server-side request forgery,
 * OWASP). Every address of a name must be public, checked again at every request, and the connection goes to a checked
 * address, so DNS rebinding gains nothing. It speaks HTTP over its own socket, because `fetch` resolves the name
 * itself, pools connections by name, and honors proxy variables. Redirects are returned, never followed.
 */
export class OutgoingHttp {
  readonly #allowedHosts: ReadonlySet<string>;
  readonly #resolve: Resolve;
  readonly #ca: string | undefined;

  constructor({ allowedHosts, resolve = systemResolve, ca }: OutgoingHttpOptions) {
    this.#allowedHosts = new Set(allowedHosts.map(hostOf));
    this.#resolve = resolve;
    this.#ca = ca;
  }

  /** Throws `webhook_target_refused` if requests to the URL would be refused now. */
  async check(url: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#addressesOf(
        new URL(url),
        AbortSignal.any([signal, AbortSignal.timeout(RESOLVE_TIMEOUT_MS)]),
      );
    } catch (error) {
      if (signal.aborted) throw new AtlasError('request_aborted', 'The client disconnected.');
      if (!(error instanceof OutgoingError)) throw error;
      const detail =
        error.failure === 'target_refused' && error.cause instanceof Error
          ? error.cause.message
          : 'The host of the URL cannot be resolved.';
      throw new AtlasError('webhook_target_refused', detail, { cause: error });
    }
  }

  /** Posts the body and returns the head of the response, whatever its status. Throws {@link OutgoingError}. */
  async post({ url, headers, body, timeoutMs, signal }: OutgoingRequest): Promise<ResponseHead> {
    const target = new URL(url);
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const socket = await this.#connect(target, await this.#addressesOf(target, inTime), inTime);
    const bytes = Buffer.from(body);
    const head = [
      `POST ${target.pathname}${target.search} HTTP/1.1`,
      `Host: ${target.host}`,
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      `Content-Length: ${bytes.length}`,
      'Connection: close',
    ];
    const message = Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), bytes]);
    return exchange(socket, message, inTime);
  }

  /** Returns the addresses to try, all of them checked. */
  async #addressesOf(target: URL, signal: AbortSignal): Promise<readonly string[]> {
    const host = hostOf(target.hostname);
    const isAllowed = this.#allowedHosts.has(host);
    const violation = violationOf(target, isAllowed);
    if (violation !== null) throw new OutgoingError('target_refused', new Error(violation));
    const addresses = net.isIP(host) ? [host] : await this.#lookUp(host, signal);
    // One private address is enough to refuse the name: it could lead there at any time.
    if (!isAllowed && !addresses.every(isPublicAddress))
      throw new OutgoingError(
        'target_refused',
        new Error('The host of the URL resolves to an address that is not public.'),
      );
    return addresses.slice(0, ADDRESSES_MAX);
  }

  async #lookUp(host: string, signal: AbortSignal): Promise<readonly string[]> {
    try {
      const addresses = await orAbort(this.#resolve(host), signal);
      if (addresses.length > 0) return addresses;
    } catch (error) {
      throw new OutgoingError(signal.aborted ? 'timeout' : 'name_not_resolved', error);
    }
    throw new OutgoingError('name_not_resolved');
  }

  /** Connects to the first address that accepts. Nothing has been sent yet, so trying the next one is safe. */
  async #connect(target: URL, addresses: readonly string[], signal: AbortSignal): Promise<net.Socket> {
    for (const [i, address] of addresses.entries()) {
      try {
        return await this.#connectTo(target, address, signal);
      } catch (error) {
        const isLast = i === addresses.length - 1;
        if (isLast || signal.aborted || !(error instanceof OutgoingError) || error.failure === 'tls_failed')
          throw error;
      }
    }
    throw new OutgoingError('connection_failed');
  }

  #connectTo(target: URL, address: string, signal: AbortSignal): Promise<net.Socket> {
    const isTls = target.protocol === 'https:';
    const port = Number(target.port) || (isTls ? 443 : 80);
    const host = hostOf(target.hostname);
    const { promise, resolve, reject } = Promise.withResolvers<net.Socket>();
    const socket = isTls
      ? tls.connect({
          host: address,
          port,
          // The certificate must match the name in the URL, whatever its address. SNI does not apply to addresses.
          ...(net.isIP(host) === 0 && { servername: host }),
          ALPNProtocols: ['http/1.1'],
          ...(this.#ca !== undefined && { ca: this.#ca }),
        })
      : net.connect({ host: address, port });
    let isConnected = false;
    const onTimeout = () => fail(new OutgoingError('timeout'));
    const timer = setTimeout(onTimeout, CONNECT_TIMEOUT_MS);
    const settle = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onTimeout);
    };
    const fail = (error: Error) => {
      settle();
      socket.destroy();
      reject(error);
    };
    const onReady = () => {
      if (isTls && !(socket as tls.TLSSocket).authorized) return fail(new OutgoingError('tls_failed'));
      settle();
      resolve(socket);
    };
    socket.once('connect', () => {
      isConnected = true;
      if (!isTls) onReady();
    });
    if (isTls) socket.once('secureConnect', onReady);
    socket.on('error', (error) =>
      fail(new OutgoingError(isConnected ? 'tls_failed' : 'connection_failed', error)),
    );
    socket.once('close', () => fail(new OutgoingError(isConnected ? 'tls_failed' : 'connection_failed')));
    signal.addEventListener('abort', onTimeout, { once: true });
    if (signal.aborted) onTimeout();
    return promise;
  }
}

/** Returns the rule that the URL violates, whatever its address, or null. */
function violationOf(target: URL, isAllowed: boolean): string | null {
  if (target.username !== '' || target.password !== '') return 'The URL contains a username or password.';
  if (target.protocol !== 'https:' && !(isAllowed && target.protocol === 'http:'))
    return 'The URL must use https.';
  const port = Number(target.port || 443);
  if (!isAllowed && port !== 443 && port < PUBLIC_PORT_MIN)
    return `The port of the URL must be 443, or ${PUBLIC_PORT_MIN} or higher.`;
  return null;
}

/** Normalizes a host: lower case, without a trailing dot or the brackets of IPv6. */
function hostOf(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '');
}

/** Sends the message, reads the head of the response and the start of its body, and closes the connection. */
function exchange(socket: net.Socket, message: Buffer, signal: AbortSignal): Promise<ResponseHead> {
  const { promise, resolve, reject } = Promise.withResolvers<ResponseHead>();
  let text = '';
  let head: ResponseHead | null = null;
  let bodySizeBytes = 0;
  let bodyTimer: Timer | undefined;
  const end = (failure: OutgoingFailure, cause?: unknown) => {
    clearTimeout(bodyTimer);
    signal.removeEventListener('abort', onAbort);
    socket.destroy();
    if (head === null) reject(new OutgoingError(failure, cause));
    else resolve(head);
  };
  const onAbort = () => end('timeout');
  const onClose = () => end('invalid_answer');
  socket.on('data', (chunk: Buffer) => {
    if (head !== null) {
      // The body is read only so that a target with a short one is not cut off while it sends.
      bodySizeBytes += chunk.length;
      if (bodySizeBytes > BODY_READ_BYTES_MAX) end('invalid_answer');
      return;
    }
    text += chunk.toString('latin1');
    try {
      head = readResponseHead(text);
    } catch (error) {
      end('invalid_answer', error);
    }
    if (head !== null) bodyTimer = setTimeout(onClose, BODY_READ_MS_MAX);
  });
  socket.once('end', onClose);
  socket.once('close', onClose);
  socket.on('error', (error) => end('invalid_answer', error));
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  else socket.write(message);
  return promise;
}
