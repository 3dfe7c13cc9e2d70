import { chmodSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import type { WorkerStatus } from './messages.ts';
import type { Supervisor } from './supervisor.ts';

/** One slot, as `atlas status` shows it. */
export interface SlotStatus {
  readonly slot: number;
  /** Of the newest worker; `waiting` where a dead one has not been started anew yet. */
  readonly state: 'starting' | 'ready' | 'draining' | 'waiting';
  readonly uptimeSeconds: number;
  readonly restarts: number;
  /** The last heartbeat, and how long ago it was; null before the first one. */
  readonly worker: WorkerStatus | null;
  readonly heartbeatAgeSeconds: number | null;
}

/** What the supervisor answers. */
export interface ClusterStatus {
  readonly pid: number;
  /** As they were set for it: `API_HOST`, and the port that it took. */
  readonly host: string;
  readonly port: number;
  readonly uptimeSeconds: number;
  /** Of its settings; another host with less can make that of the cluster smaller, see `WorkerStatus.cap`. */
  readonly cap: number;
  /** One row for each worker; a slot that is being replaced has two. */
  readonly slots: readonly SlotStatus[];
}

// The kernel keeps 108 bytes for the path of a socket, and the last one is a zero.
const PATH_BYTES_MAX = 107;
const NAME = /^serve-(\d+)\.sock$/;
const ANSWER_MAX_MS = 2000;
// More than any folder has, unless its supervisors were killed on ever new ports.
const SOCKETS_MAX = 64;
const startedMs = performance.now();

/** The path of the socket on which the supervisor of a port answers. Throws an Error when it is too long for one. */
export function statusSocketPath(dataDir: string, port: number): string {
  const whole = resolve(dataDir, `serve-${port}.sock`);
  const short = relative(process.cwd(), whole);
  const path = short.length < whole.length ? short : whole;
  if (Buffer.byteLength(path) > PATH_BYTES_MAX) {
    throw new Error(
      `The status of the workers cannot be asked.\n  why:  ${path} has more than ${PATH_BYTES_MAX} bytes, the most that a socket's path may have\n  do:   set ATLAS_DATA_DIR to a folder with a shorter path`,
    );
  }
  return path;
}

/** Answers on the socket until it is closed. Only the user that runs Atlas may connect. */
export function serveStatus(
  path: string,
  dataDir: string,
  read: () => ClusterStatus,
): { close(): Promise<void> } {
  mkdirSync(dataDir, { recursive: true });
  // Left behind by a supervisor that was killed: whoever has the port has its socket.
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

/** What there is to tell of a supervisor and its workers. */
export function statusOf(
  { slots }: Supervisor,
  { host, port, cap }: Pick<ClusterStatus, 'host' | 'port' | 'cap'>,
): ClusterStatus {
  const nowMs = performance.now();
  const seconds = (sinceMs: number) => Math.round((nowMs - sinceMs) / 100) / 10;
  return {
    pid: process.pid,
    host,
    port,
    uptimeSeconds: seconds(startedMs),
    cap,
    slots: slots.flatMap(({ index: slot, incarnations, restarts }): SlotStatus[] => {
      if (incarnations.length === 0) {
        const none = { worker: null, heartbeatAgeSeconds: null };
        return [{ slot, state: 'waiting', uptimeSeconds: 0, restarts, ...none }];
      }
      return incarnations.map(({ state, startedMs: bornMs, status, heartbeatMs }) => ({
        slot,
        state: state === 'gone' ? 'waiting' : state,
        uptimeSeconds: seconds(bornMs),
        restarts,
        worker: status,
        heartbeatAgeSeconds: status && seconds(heartbeatMs),
      }));
    }),
  };
}

/**
 * Asks the supervisor of a port, or for port 0 the only one of the folder. Answers null where none runs. Throws an
 * Error where one hangs, and where port 0 can mean several.
 */
export async function findStatus(dataDir: string, port: number): Promise<ClusterStatus | null> {
  if (port !== 0) return readStatus(dataDir, port);
  const found = await listStatuses(dataDir);
  if (found.length < 2) return found[0] ?? null;
  throw new Error(
    `It is not clear which Atlas is meant.\n  why:  API_PORT is 0, and ${dataDir} has more than one, on the ports ${portsOf(found)}\n  do:   set API_PORT to the port that it serves on`,
  );
}

/** Like {@link findStatus}, for who must have one. Throws an Error that names those that run on other ports. */
export async function askStatus(dataDir: string, port: number): Promise<ClusterStatus> {
  const found = await findStatus(dataDir, port);
  if (found) return found;
  if (port === 0) {
    throw new Error(
      `No Atlas runs here.\n  why:  no supervisor of the data folder ${dataDir} answers\n  do:   start one with npm start, or set ATLAS_DATA_DIR to the folder of the one you mean`,
    );
  }
  const others = await listStatuses(dataDir);
  const [why, remedy] =
    others.length > 0
      ? [
          `what runs on the data folder ${dataDir} serves on port ${portsOf(others)}`,
          `ask it with API_PORT=${others[0]!.port} npm run status`,
        ]
      : [
          `no supervisor of the data folder ${dataDir} answers for this port`,
          'start one with npm start, or set API_PORT and ATLAS_DATA_DIR to those of the one you mean',
        ];
  throw new Error(`No Atlas runs here for port ${port}.\n  why:  ${why}\n  do:   ${remedy}`);
}

async function readStatus(dataDir: string, port: number): Promise<ClusterStatus | null> {
  const path = statusSocketPath(dataDir, port);
  try {
    const response = await fetch('http://atlas/', { unix: path, signal: AbortSignal.timeout(ANSWER_MAX_MS) });
    return (await response.json()) as ClusterStatus;
  } catch (error) {
    // Whatever else goes wrong means that nobody is there: the socket was left behind, or there is none.
    if ((error as Error).name !== 'TimeoutError') return null;
    throw new Error(
      `The Atlas on port ${port} does not tell its status.\n  why:  its supervisor did not answer within ${ANSWER_MAX_MS / 1000} s\n  do:   look whether its process is stopped or the host is out of processor time`,
      { cause: error },
    );
  }
}

/** What every supervisor of the folder answers that does. */
async function listStatuses(dataDir: string): Promise<ClusterStatus[]> {
  const ports = listFolder(dataDir).flatMap((name) => NAME.exec(name)?.[1] ?? []);
  const asked = ports
    .slice(0, SOCKETS_MAX)
    .map((port) => readStatus(dataDir, Number(port)).catch(() => null));
  return (await Promise.all(asked)).filter((status) => status !== null);
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
