import { findStatus } from './status-socket.ts';

const WAIT_MAX_MS = 3000;
const WAIT_MS = 50;

/**
 * Finds out that nobody else listens on the port, by listening on it alone for a moment, and answers which one it is:
 * for 0 a free one. Workers share the port, so without this a second Atlas would quietly take half of the requests of
 * the first. The workers of a supervisor that was killed may still be closing, so it waits up to 3 s. Throws an Error
 * that says what to do; an Atlas of the same data folder is called by its name.
 */
export async function claimPort(
  hostname: string,
  port: number,
  dataDir: string,
  waitMaxMs = WAIT_MAX_MS,
): Promise<number> {
  const untilMs = performance.now() + waitMaxMs;
  for (;;) {
    try {
      const probe = Bun.serve({ hostname, port, fetch: () => new Response(null, { status: 503 }) });
      const found = probe.port!;
      await probe.stop(true);
      return found;
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === 'EADDRINUSE' && performance.now() < untilMs) {
        await Bun.sleep(WAIT_MS);
        continue;
      }
      throw await explain(error as Error & { code?: string }, hostname, port, dataDir);
    }
  }
}

async function explain(
  error: Error & { code?: string },
  hostname: string,
  port: number,
  dataDir: string,
): Promise<Error> {
  const { code, message } = error;
  const where = `Atlas cannot listen on ${hostname}:${port}.`;
  if (code === 'EADDRNOTAVAIL') {
    return new Error(
      `${where}\n  why:  ${hostname} is not an address of this host\n  do:   set API_HOST to an address of this host, to 127.0.0.1, or to 0.0.0.0 for all of them`,
      { cause: error },
    );
  }
  const running = code === 'EADDRINUSE' ? await findStatus(dataDir, port).catch(() => null) : null;
  if (running) {
    return new Error(
      `Atlas already runs on port ${port} (supervisor pid ${running.pid}).\n  why:  it answers for this port and the data folder ${dataDir}\n  do:   look at it with npm run status, or set API_PORT to another port to start one more`,
      { cause: error },
    );
  }
  return new Error(
    `${where}\n  why:  ${message}\n  do:   stop what uses the port, or set API_PORT to another one`,
    { cause: error },
  );
}
