import { failure } from './failure.ts';
import { freePort } from './free-port.ts';
import { findGoTool, goTool, installGoTool } from './go-tool.ts';
import { type NativeProcess, startNativeProcess } from './native-process.ts';

// The version is in the path only: a server that `go install` built does not report one.
const TOXIPROXY = goTool(
  'toxiproxy',
  '2.5.0',
  'github.com/Shopify/toxiproxy/v2/cmd/server',
  'toxiproxy-server',
);
const READY_TIMEOUT_MS = 10_000;

/** A toxiproxy started here, without proxies. */
export interface ToxiproxyServer extends NativeProcess {
  /** Base URL of its HTTP API. */
  readonly api: string;
}

/** Returns the path of the pinned toxiproxy server, or null if it is not installed. */
export function findToxiproxy(): string | null {
  return findGoTool(TOXIPROXY);
}

/** Builds the pinned server with Go. Throws what failed, why, and what to do. */
export function installToxiproxy(): Promise<void> {
  return installGoTool(TOXIPROXY);
}

/** Starts the proxy that tests break connections with, on a free port of the loopback interface. */
export async function startToxiproxyServer(): Promise<ToxiproxyServer> {
  const command = findToxiproxy();
  if (command === null)
    throw failure('toxiproxy could not be started.', 'it is not installed', 'npm run services -- install');
  const port = await freePort();
  const api = `http://127.0.0.1:${port}`;
  const process = await startNativeProcess({
    title: 'toxiproxy',
    command,
    args: ['-host', '127.0.0.1', '-port', `${port}`],
    isReady: () =>
      fetch(`${api}/version`, { signal: AbortSignal.timeout(1000) }).then(
        ({ ok }) => ok,
        () => false,
      ),
    readyTimeoutMs: READY_TIMEOUT_MS,
    remedy: `check whether another process uses its port (${port})`,
  });
  return { ...process, api };
}
