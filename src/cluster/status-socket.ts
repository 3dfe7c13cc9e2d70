import { chmodSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import type { WorkerStatus } from './messages.ts';
import type { Supervisor } from './supervisor.ts';

/** One slot, as `atlas status` shows it. */
export interface SlotStatus {
  readonly slot: number;
  /** Of the newest worker; `waiting` where a dead one has not been started anew yet. */
  readonly state: 'starting' | 'ready' | 'draining' | 'waiting';
  readonly uptimeSeconds: number;
  readonly restarts: number;
  /** The last heartbeat; null before the first one. */
  readonly worker: WorkerStatus | null;
}

/** What the supervisor answers. */
export interface ClusterStatus {
  readonly pid: number;
  readonly port: number;
  readonly uptimeSeconds: number;
  readonly cap: number;
  /** One row for each worker; a slot that is being replaced has two. */
  readonly slots: readonly SlotStatus[];
}

// The kernel keeps 108 bytes for the path of a socket, and the last one is a zero.
const PATH_BYTES_MAX = 107;
const NAME = /^serve-(\d+)\.sock$/;
const ANSWER_MAX_MS = 2000;
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
export function statusOf({ slots }: Supervisor, port: number, cap: number): ClusterStatus {
  const nowMs = performance.now();
  const seconds = (sinceMs: number) => Math.round((nowMs - sinceMs) / 100) / 10;
  return {
    pid: process.pid,
    port,
    uptimeSeconds: seconds(startedMs),
    cap,
    slots: slots.flatMap(({ index: slot, lives, restarts }): SlotStatus[] => {
      if (lives.length === 0) return [{ slot, state: 'waiting', uptimeSeconds: 0, restarts, worker: null }];
      return lives.map(({ state, startedMs: bornMs, status }) => ({
        slot,
        state: state === 'gone' ? 'waiting' : state,
        uptimeSeconds: seconds(bornMs),
        restarts,
        worker: status,
      }));
    }),
  };
}

/** Asks the supervisor of a port, or for port 0 the only one of the folder. Throws an Error when none runs. */
export async function askStatus(dataDir: string, port: number): Promise<ClusterStatus> {
  const path = port === 0 ? findSocket(dataDir) : statusSocketPath(dataDir, port);
  try {
    const response = await fetch('http://atlas/', { unix: path, signal: AbortSignal.timeout(ANSWER_MAX_MS) });
    return (await response.json()) as ClusterStatus;
  } catch (error) {
    const of = port === 0 ? '' : ` for port ${port}`;
    throw new Error(
      `No Atlas runs here${of}.\n  why:  nothing answers on ${path}: ${(error as Error).message}\n  do:   start it with npm start, or set API_PORT and ATLAS_DATA_DIR to those of the one you mean`,
      { cause: error },
    );
  }
}

function findSocket(dataDir: string): string {
  const names = listFolder(dataDir).filter((name) => NAME.test(name));
  if (names.length === 1) return statusSocketPath(dataDir, Number(NAME.exec(names[0]!)![1]));
  throw new Error(
    `It is not clear which Atlas is meant.\n  why:  API_PORT is 0, and ${names.length === 0 ? 'none' : 'more than one'} runs on ${join(dataDir, '/')}\n  do:   set API_PORT to the port that it serves on`,
  );
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
