import { claimPort } from './claim-port.ts';
import { lockFolderPort } from './folder-port-lock.ts';
import { findStatus } from './status-socket.ts';
import { killOrphans } from './worker-record.ts';

const WAIT_MAX_MS = 3000;
const WAIT_MS = 50;
const ATTEMPTS_MAX = 10;

/**
 * A port that no other Atlas on this host, nor any on this data folder, can take until it is released or this process
 * exits.
 */
export interface TakenPort {
  readonly port: number;
  release(): void;
}

/**
 * Takes a port for the lifetime of this process: locks it against other supervisors, checks that it is free, and kills
 * workers of a dead supervisor that still hold it. Port 0 picks a free one. Throws an Error with a remedy.
 */
export async function takePort(
  hostname: string,
  port: number,
  dataDir: string,
  waitMaxMs = WAIT_MAX_MS,
): Promise<TakenPort> {
  if (port === 0) return pickPort(hostname, dataDir);
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

/**
 * Takes a port for operators, next to that of the API: it has no sockets in the data folder, so others may use it with
 * the same one elsewhere. Throws an Error with a remedy.
 */
export async function takeAdminPort(hostname: string, port: number, dataDir: string): Promise<TakenPort> {
  const taken = lockPort(hostname, port);
  if (taken === null)
    throw new Error(
      `Atlas cannot listen on port ${port} for operators.\n  why:  another Atlas on this host has locked it\n  do:   set ADMIN_PORT to a port of its own for each`,
    );
  try {
    await claimPort(hostname, port, dataDir, WAIT_MAX_MS, 'ADMIN');
    return taken;
  } catch (error) {
    taken.release();
    throw error;
  }
}

async function pickPort(hostname: string, dataDir: string): Promise<TakenPort> {
  for (let attempts = 1; ; attempts++) {
    const port = await claimPort(hostname, 0, dataDir);
    const taken = lockBoth(hostname, port, dataDir);
    if (taken.release) return { port, release: taken.release };
    if (attempts === ATTEMPTS_MAX) throw alreadyRunning(port, null, taken.heldBy);
  }
}

/** Waits a moment, for a supervisor that is about to exit. */
async function waitForLock(
  hostname: string,
  port: number,
  dataDir: string,
  waitMaxMs: number,
): Promise<TakenPort> {
  const untilMs = performance.now() + waitMaxMs;
  for (;;) {
    const taken = lockBoth(hostname, port, dataDir);
    if (taken.release) return { port, release: taken.release };
    if (performance.now() >= untilMs) {
      const running = await findStatus(dataDir, port).catch(() => null);
      throw alreadyRunning(port, running?.pid ?? null, taken.heldBy);
    }
    await Bun.sleep(WAIT_MS);
  }
}

type Locked =
  | { readonly release: () => void; readonly heldBy?: never }
  | { readonly release?: never; readonly heldBy: 'host' | 'folder' };

/** Locks the port on this host, and its names in the data folder. */
function lockBoth(hostname: string, port: number, dataDir: string): Locked {
  const onHost = lockPort(hostname, port);
  if (onHost === null) return { heldBy: 'host' };
  try {
    const inFolder = lockFolderPort(dataDir, port);
    if (inFolder === null) {
      onHost.release();
      return { heldBy: 'folder' };
    }
    const release = () => {
      inFolder.release();
      onHost.release();
    };
    return { release };
  } catch (error) {
    onHost.release();
    throw error;
  }
}

/**
 * Locks a port against other supervisors; returns null if another one has it. Workers share their port, so two
 * supervisors that start together would both find it free. The lock is an abstract socket: the kernel removes it with
 * the process and scopes it to a network namespace, like ports. Elsewhere workers share no port, so there is no lock.
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

function alreadyRunning(port: number, supervisor: number | null, heldBy: 'host' | 'folder'): Error {
  const pidText = supervisor === null ? '' : ` (supervisor pid ${supervisor})`;
  const [why, remedy] =
    heldBy === 'host'
      ? [
          'its supervisor has locked the port on this host',
          'check it with npm run status, or set API_PORT to another port to start a second one',
        ]
      : [
          'an Atlas on another address or in another container uses this port with the same data folder, and both would use the same sockets there',
          'set ATLAS_DATA_DIR to a folder of its own for each, or API_PORT to another port',
        ];
  return new Error(`Atlas is already running on port ${port}${pidText}.\n  why:  ${why}\n  do:   ${remedy}`);
}
