import { claimPort } from './claim-port.ts';
import { findStatus } from './status-socket.ts';
import { killOrphans } from './worker-record.ts';

const WAIT_MAX_MS = 3000;
const WAIT_MS = 50;
const DRAWS_MAX = 10;

/** A port that no other Atlas of this host can take until it is released or this process ends. */
export interface TakenPort {
  readonly port: number;
  release(): void;
}

/**
 * Takes a port for as long as this process runs: locks it against other supervisors, checks that nobody listens on it,
 * and kills workers of a dead supervisor that do not let go of it. For port 0 it draws a free one. Throws an Error that
 * says what to do.
 */
export async function takePort(
  hostname: string,
  port: number,
  dataDir: string,
  waitMaxMs = WAIT_MAX_MS,
): Promise<TakenPort> {
  if (port === 0) return drawPort(hostname, dataDir);
  const taken = await waitForLock(hostname, port, dataDir, waitMaxMs);
  try {
    await claimPort(hostname, port, dataDir, waitMaxMs).catch((error: unknown) => {
      if (!isInUse((error as Error).cause) || killOrphans(dataDir, port) === 0) throw error;
      return claimPort(hostname, port, dataDir, waitMaxMs);
    });
    return taken;
  } catch (error) {
    taken.release();
    throw error;
  }
}

async function drawPort(hostname: string, dataDir: string): Promise<TakenPort> {
  for (let draws = 1; ; draws++) {
    const port = await claimPort(hostname, 0, dataDir);
    const taken = lockPort(hostname, port);
    if (taken) return taken;
    if (draws === DRAWS_MAX) throw alreadyRuns(port, null);
  }
}

/** A supervisor that is about to end has a moment for it. */
async function waitForLock(
  hostname: string,
  port: number,
  dataDir: string,
  waitMaxMs: number,
): Promise<TakenPort> {
  const untilMs = performance.now() + waitMaxMs;
  for (;;) {
    const taken = lockPort(hostname, port);
    if (taken) return taken;
    if (performance.now() >= untilMs) {
      const running = await findStatus(dataDir, port).catch(() => null);
      throw alreadyRuns(port, running?.pid ?? null);
    }
    await Bun.sleep(WAIT_MS);
  }
}

/**
 * Locks a port against other supervisors; null where one has it. Workers share their port, so two starts at the same
 * time would see it free both. The lock is a socket with an abstract name: the kernel removes it with the process, and
 * a network namespace has its own, as it has its own ports. Elsewhere workers do not share a port, and need no lock.
 */
function lockPort(hostname: string, port: number): TakenPort | null {
  if (process.platform !== 'linux') return { port, release: () => {} };
  try {
    const lock = Bun.listen({
      unix: `\0atlas-${hostname}-${port}`,
      socket: { open: (socket) => void socket.end(), data: () => {} },
    });
    lock.unref();
    return { port, release: () => lock.stop(true) };
  } catch (error) {
    if (isInUse(error)) return null;
    throw error;
  }
}

function isInUse(error: unknown): boolean {
  return (error as { code?: string } | undefined)?.code === 'EADDRINUSE';
}

function alreadyRuns(port: number, supervisor: number | null): Error {
  const which = supervisor === null ? '' : ` (supervisor pid ${supervisor})`;
  return new Error(
    `Atlas already runs on port ${port}${which}.\n  why:  its supervisor has locked the port on this host\n  do:   look at it with npm run status, or set API_PORT to another port to start one more`,
  );
}
