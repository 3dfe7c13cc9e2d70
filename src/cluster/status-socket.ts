import { chmodSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import type { WorkerStatus } from './messages.ts';
import { socketPath } from './socket-path.ts';
import type { Supervisor } from './supervisor.ts';

/** One worker, as shown by `atlas status`. */
export interface SlotStatus {
  readonly slot: number;
  /** `waiting` if the slot is empty until its worker is restarted. */
  readonly state: 'starting' | 'ready' | 'draining' | 'waiting';
  readonly uptimeSeconds: number;
  readonly restarts: number;
  /** The last heartbeat and its age; null before the first one. */
  readonly worker: WorkerStatus | null;
  readonly heartbeatAgeSeconds: number | null;
  /** Whether it sends no heartbeats because it computes. */
  readonly busy: boolean;
}

/** The status of a supervisor and its workers. */
export interface ClusterStatus {
  readonly pid: number;
  /** `API_HOST`, and the port it listens on. */
  readonly host: string;
  readonly port: number;
  /** `ADMIN_HOST` and `ADMIN_PORT`; null without them. */
  readonly admin: { readonly host: string; readonly port: number } | null;
  readonly uptimeSeconds: number;
  /** From its settings; a host with a lower cap lowers that of the cluster, see `WorkerStatus.cap`. */
  readonly cap: number;
  /** One element per worker; a slot whose worker is being replaced has two. */
  readonly slots: readonly SlotStatus[];
}

const NAME = /^serve-(\d+)\.sock$/;
const RESPONSE_MAX_MS = 2000;
// More than a folder has, unless supervisors were repeatedly killed on different ports.
const SOCKETS_MAX = 64;
const startedMs = performance.now();

/** Returns the path of the status socket for a port. Throws an Error if the path is too long for a socket. */
export function statusSocketPath(dataDir: string, port: number): string {
  return socketPath(dataDir, `serve-${port}.sock`, 'its status socket');
}

/** Serves the status on a socket until it is closed. Only the user that runs Atlas may connect. */
export function serveStatus(
  path: string,
  dataDir: string,
  read: () => ClusterStatus,
): { close(): Promise<void> } {
  mkdirSync(dataDir, { recursive: true });
  // A leftover of a killed supervisor: the process that owns the port also owns its socket.
  rmSync(path, { force: true });
  const mask = process.umask(0o177);
  const server = Bun.serve({ unix: path, fetch: () => Response.json(read()) });
  process.umask(mask);
  chmodSync(path, 0o600);
  return {
    close: async () => {
      await server.stop(true);
      rmSync(path, { force: true });
    },
  };
}

/** Returns the current status of a supervisor and its workers. */
export function statusOf(
  { slots }: Supervisor,
  { host, port, admin, cap }: Pick<ClusterStatus, 'host' | 'port' | 'admin' | 'cap'>,
): ClusterStatus {
  const nowMs = performance.now();
  const seconds = (sinceMs: number) => Math.round((nowMs - sinceMs) / 100) / 10;
  return {
    pid: process.pid,
    host,
    port,
    admin,
    uptimeSeconds: seconds(startedMs),
    cap,
    slots: slots.flatMap(({ index: slot, incarnations, restarts }): SlotStatus[] => {
      if (incarnations.length === 0) {
        const noHeartbeat = { worker: null, heartbeatAgeSeconds: null, busy: false };
        return [{ slot, state: 'waiting', uptimeSeconds: 0, restarts, ...noHeartbeat }];
      }
      return incarnations.map(({ state, startedMs: spawnedMs, heartbeat, isBusy }) => ({
        slot,
        state: state === 'gone' ? 'waiting' : state,
        uptimeSeconds: seconds(spawnedMs),
        restarts,
        worker: heartbeat?.status ?? null,
        heartbeatAgeSeconds: heartbeat && seconds(heartbeat.receivedMs),
        busy: isBusy,
      }));
    }),
  };
}

/**
 * Returns the status of the supervisor on a port, or for port 0 of the only one on the data folder. Returns null if
 * none runs. Throws an Error if it does not respond, or if port 0 is ambiguous.
 */
export async function findStatus(dataDir: string, port: number): Promise<ClusterStatus | null> {
  if (port !== 0) return readStatus(dataDir, port);
  const running = await listStatuses(dataDir);
  if (running.length < 2) return running[0] ?? null;
  throw new Error(
    `API_PORT=0 matches more than one Atlas.\n  why:  several run on the data folder ${dataDir}, on ports ${portsOf(running)}\n  do:   set API_PORT to the port of the one you mean`,
  );
}

/** Like {@link findStatus}, but throws an Error if none runs. The error lists those that run on other ports. */
export async function requireStatus(dataDir: string, port: number): Promise<ClusterStatus> {
  const status = await findStatus(dataDir, port);
  if (status) return status;
  if (port === 0) {
    throw new Error(
      `Atlas is not running.\n  why:  no supervisor responds on the data folder ${dataDir}\n  do:   start it with npm start, or set ATLAS_DATA_DIR to the data folder of a running one`,
    );
  }
  const others = await listStatuses(dataDir);
  const [why, remedy] =
    others.length > 0
      ? [
          `the Atlas on the data folder ${dataDir} serves port ${portsOf(others)}`,
          `check it with API_PORT=${others[0]!.port} npm run status`,
        ]
      : [
          `no supervisor responds for this port on the data folder ${dataDir}`,
          'start it with npm start, or set API_PORT and ATLAS_DATA_DIR to those of a running one',
        ];
  throw new Error(`Atlas is not running on port ${port}.\n  why:  ${why}\n  do:   ${remedy}`);
}

async function readStatus(dataDir: string, port: number): Promise<ClusterStatus | null> {
  const path = statusSocketPath(dataDir, port);
  try {
    const response = await fetch('http://atlas/', {
      unix: path,
      signal: AbortSignal.timeout(RESPONSE_MAX_MS),
    });
    return (await response.json()) as ClusterStatus;
  } catch (error) {
    // Any other error means that no supervisor listens: the socket is a leftover, or does not exist.
    if ((error as Error).name !== 'TimeoutError') return null;
    throw new Error(
      `The Atlas on port ${port} does not report its status.\n  why:  its supervisor did not respond within ${RESPONSE_MAX_MS / 1000} s\n  do:   check whether its process is stopped or the host is out of CPU`,
      { cause: error },
    );
  }
}

/** Returns the status of every supervisor on the data folder that responds. */
export async function listStatuses(dataDir: string): Promise<ClusterStatus[]> {
  const ports = listFolder(dataDir).flatMap((name) => NAME.exec(name)?.[1] ?? []);
  const statuses = ports
    .slice(0, SOCKETS_MAX)
    .map((port) => readStatus(dataDir, Number(port)).catch(() => null));
  return (await Promise.all(statuses)).filter((status) => status !== null);
}

function portsOf(statuses: readonly ClusterStatus[]): string {
  return statuses.map(({ port }) => port).join(' and ');
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
