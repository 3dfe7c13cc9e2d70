import { lookup } from 'node:dns/promises';
import { isIPv6 } from 'node:net';
import { findStatus } from './status-socket.ts';

/** The start of the names of the settings of a port, `API_PORT` and `API_HOST`. */
export type PortSetting = 'API' | 'ADMIN';

const WAIT_MAX_MS = 3000;
const WAIT_MS = 50;

/**
 * Checks that the port is free by listening on it exclusively for a moment, and returns it; port 0 picks a free one.
 * Workers share the port, so without this check a second Atlas would silently take half of the requests of the first.
 * Waits up to 3 s, because the workers of a killed supervisor may still be closing. Throws an Error with a remedy; it
 * identifies an Atlas of the same data folder.
 */
export async function claimPort(
  hostname: string,
  port: number,
  dataDir: string,
  waitMaxMs = WAIT_MAX_MS,
  setting: PortSetting = 'API',
): Promise<number> {
  const untilMs = performance.now() + waitMaxMs;
  for (;;) {
    try {
      const probe = Bun.serve({ hostname, port, fetch: () => new Response(null, { status: 503 }) });
      const freePort = probe.port!;
      await probe.stop(true);
      return freePort;
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === 'EADDRINUSE' && performance.now() < untilMs) {
        await Bun.sleep(WAIT_MS);
        continue;
      }
      throw await explain(error as Error & { code?: string }, hostname, port, dataDir, setting);
    }
  }
}

async function explain(
  error: Error & { code?: string },
  hostname: string,
  port: number,
  dataDir: string,
  setting: PortSetting,
): Promise<Error> {
  const { code, message } = error;
  const problem = `Atlas cannot listen on ${isIPv6(hostname) ? `[${hostname}]` : hostname}:${port}.`;
  const because = (why: string, remedy: string) =>
    new Error(`${problem}\n  why:  ${why}\n  do:   ${remedy}`, { cause: error });
  const otherHost = `set ${setting}_HOST to an address of this host, to 127.0.0.1, or to 0.0.0.0 for all of them`;
  // Bun reports the error of an earlier call for a name that cannot be resolved.
  if (!(await isResolvable(hostname))) return because(`the name ${hostname} cannot be resolved`, otherHost);
  if (code === 'EADDRNOTAVAIL') return because(`${hostname} is not an address of this host`, otherHost);
  if (code === 'EACCES')
    return because(`this user may not use port ${port}`, `set ${setting}_PORT to a port above 1023`);
  const running =
    code === 'EADDRINUSE' && setting === 'API' ? await findStatus(dataDir, port).catch(() => null) : null;
  if (running) {
    return new Error(
      `Atlas is already running on port ${port} (supervisor pid ${running.pid}).\n  why:  it serves this port from the data folder ${dataDir}\n  do:   check it with npm run status, or set API_PORT to another port to start a second one`,
      { cause: error },
    );
  }
  return because(message, `stop the process that uses the port, or set ${setting}_PORT to another port`);
}

function isResolvable(hostname: string): Promise<boolean> {
  return lookup(hostname).then(
    () => true,
    () => false,
  );
}
