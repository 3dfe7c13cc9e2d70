import { basename } from 'node:path';
import { findToxiproxy, startToxiproxyServer } from '../../infra/toxiproxy.ts';
import { isAvailable } from './is-available.ts';
import { forget, register } from './test-service.ts';

const CALL_TIMEOUT_MS = 5_000;

/**
 * A fault of a connection. `latency` delays data; `timeout` drops all data and closes the connection after the time
 * (0: never, like a network that drops all packets); `reset_peer` resets the connection after the time; `bandwidth`
 * limits how fast data passes.
 */
export type Toxic =
  | { readonly type: 'latency'; readonly latencyMs: number; readonly jitterMs?: number }
  | { readonly type: 'timeout' | 'reset_peer'; readonly timeoutMs: number }
  | { readonly type: 'bandwidth'; readonly kilobytesPerSecond: number };

/** To the server, or from it. */
export type Direction = 'upstream' | 'downstream';

/** A proxy in front of a server that a test can degrade, for open and for new connections. */
export interface ToxicProxy {
  /** The URL of the upstream with the port of the proxy. */
  readonly url: string;
  /** Adds a fault. */
  add(toxic: Toxic, direction?: Direction): Promise<void>;
  /** Removes all faults, on the same port. Cuts open connections, so that delayed data does not arrive late. */
  heal(): Promise<void>;
  /** Closes open connections and refuses new ones until {@link ToxicProxy.enable}. */
  disable(): Promise<void>;
  enable(): Promise<void>;
}

/** A toxiproxy server in a separate process. */
export interface Toxiproxy {
  readonly pid: number;
  /** Puts a proxy on a free port of the loopback interface in front of the server of the URL. */
  proxy(upstreamUrl: string): Promise<ToxicProxy>;
  /** Stops the server with all its proxies, and waits for its exit. */
  stop(): Promise<void>;
}

/** Whether tests that break connections can run here. Throws if ATLAS_REQUIRE_SERVICES=1 and toxiproxy is missing. */
export function isToxiproxyHere(): boolean {
  return isAvailable('toxiproxy', findToxiproxy());
}

/** Starts a toxiproxy on a free port. Ends with the tests even if a test forgets it. */
export async function startToxiproxy(): Promise<Toxiproxy> {
  const server = await startToxiproxyServer();
  const call = callerOf(server.api);
  const stop = async () => {
    await server.end('SIGKILL');
    forget(toxiproxy);
  };
  let proxies = 0;
  const toxiproxy = register({
    pid: server.pid,
    async proxy(upstreamUrl: string) {
      const upstream = new URL(upstreamUrl).host;
      const path = `/proxies/proxy-${++proxies}`;
      const open = (listen: string) =>
        call('POST', '/proxies', { name: basename(path), upstream, listen, enabled: true });
      const { listen } = await open('127.0.0.1:0');
      const url = Object.assign(new URL(upstreamUrl), { host: listen }).href;
      return proxyOf(call, path, url, () => open(listen));
    },
    stop,
    kill: stop,
  });
  return toxiproxy;
}

type Call = (method: string, path: string, body?: object) => Promise<{ readonly listen: string }>;

function callerOf(api: string): Call {
  return async (method, path, body) => {
    const response = await fetch(`${api}${path}`, {
      method,
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`toxiproxy returned ${response.status} for ${method} ${path}: ${text}`);
    return text.startsWith('{') ? JSON.parse(text) : { listen: '' };
  };
}

function proxyOf(call: Call, path: string, url: string, open: () => Promise<unknown>): ToxicProxy {
  return {
    url,
    async add(toxic, direction = 'downstream') {
      const attributes = attributesOf(toxic);
      await call('POST', `${path}/toxics`, { type: toxic.type, stream: direction, attributes });
    },
    async heal() {
      // Removing a latency hangs if its reader has disconnected (toxiproxy issue 558), so the proxy is replaced.
      await call('DELETE', path);
      await open();
    },
    async disable() {
      await call('POST', path, { enabled: false });
    },
    async enable() {
      await call('POST', path, { enabled: true });
    },
  };
}

function attributesOf(toxic: Toxic): object {
  if (toxic.type === 'latency') return { latency: toxic.latencyMs, jitter: toxic.jitterMs ?? 0 };
  if (toxic.type === 'bandwidth') return { rate: toxic.kilobytesPerSecond };
  return { timeout: toxic.timeoutMs };
}
