import { basename } from 'node:path';
import { findToxiproxy, startToxiproxyServer } from '../../infra/toxiproxy.ts';
import { isAvailable } from './is-available.ts';
import { forget, register } from './test-service.ts';

const CALL_TIMEOUT_MS = 5_000;

/**
 * What can be wrong with a connection. `latency` delays what passes; `timeout` lets nothing pass and closes after the time
 * (0: never, as a network that drops everything); `reset_peer` resets after the time.
 */
export type Toxic =
  | { readonly type: 'latency'; readonly latencyMs: number; readonly jitterMs?: number }
  | { readonly type: 'timeout' | 'reset_peer'; readonly timeoutMs: number };

/** Towards the server, or from it. */
export type Direction = 'upstream' | 'downstream';

/** A way to a server that a test can make bad, for connections that are open and for those to come. */
export interface ToxicProxy {
  /** The URL of the upstream with the port of the proxy. */
  readonly url: string;
  /** Makes the way bad. */
  add(toxic: Toxic, direction?: Direction): Promise<void>;
  /** Makes the way good again, on the same port. It cuts what is open: what passed late would be mixed up otherwise. */
  heal(): Promise<void>;
  /** Closes what is open and refuses what comes, until {@link ToxicProxy.enable}. */
  disable(): Promise<void>;
  enable(): Promise<void>;
}

/** A toxiproxy server in a process of its own. */
export interface Toxiproxy {
  readonly pid: number;
  /** Puts a proxy on a free port of the loopback interface in front of the server of the URL. */
  proxy(upstreamUrl: string): Promise<ToxicProxy>;
  /** Ends the server and all its proxies, and waits until it is gone. */
  stop(): Promise<void>;
}

/** Whether tests that break connections can run here. Says so where not; throws with ATLAS_REQUIRE_SERVICES=1. */
export function isToxiproxyHere(): boolean {
  return isAvailable('toxiproxy', findToxiproxy());
}

/** Starts a toxiproxy on a free port. Ends with the tests even when a test forgets it. */
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
    if (!response.ok) throw new Error(`toxiproxy answered ${response.status} to ${method} ${path}: ${text}`);
    return text.startsWith('{') ? JSON.parse(text) : { listen: '' };
  };
}

function proxyOf(call: Call, path: string, url: string, open: () => Promise<unknown>): ToxicProxy {
  return {
    url,
    async add(toxic, direction = 'downstream') {
      const attributes =
        toxic.type === 'latency'
          ? { latency: toxic.latencyMs, jitter: toxic.jitterMs ?? 0 }
          : { timeout: toxic.timeoutMs };
      await call('POST', `${path}/toxics`, { type: toxic.type, stream: direction, attributes });
    },
    async heal() {
      // Taking a latency away hangs for ever where its reader has gone (toxiproxy issue 558); a new proxy has none.
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
