import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  isPostgresInstalled,
  type NativePostgres,
  POSTGRES_BIN,
  runNativePostgres,
  startNativePostgres,
} from '../../infra/native-postgres.ts';
import { isAvailable } from './is-available.ts';
import { untilStopped } from './stopped-process.ts';
import { until } from './until.ts';

/** A PostgreSQL 15 of a test's own, with an empty database `atlas`, which the test may kill. */
export interface TestPostgres {
  readonly url: string;
  /** Of the process that runs now: it changes with {@link TestPostgres.restart}. */
  readonly pid: number;
  /** Ends it in order, with its data, and waits until it is gone. */
  stop(): Promise<void>;
  /** Ends all of its processes as a crash of the machine would and waits until they are gone. The data stays. */
  kill(): Promise<void>;
  /** Stops the time of all its processes (SIGSTOP): connections stay open and nothing answers. */
  pause(): Promise<void>;
  /** Lets their time go on (SIGCONT). */
  resume(): void;
  /** Starts it again with its data on its port, and kills it first where it still runs. */
  restart(): Promise<void>;
}

const running = new Set<TestPostgres>();

/** Whether tests that kill a PostgreSQL can run here. Says so where not; throws with ATLAS_REQUIRE_SERVICES=1. */
export function isPostgresHere(): boolean {
  return isAvailable('PostgreSQL 15', isPostgresInstalled() ? POSTGRES_BIN : null);
}

/** Starts a PostgreSQL in the folder, which stays, or in one of its own. Ends with the tests even when forgotten. */
export async function startTestPostgres(
  options: { readonly folder?: string; readonly connectionsMax?: number } = {},
): Promise<TestPostgres> {
  const own = await mkdtemp(join(tmpdir(), 'atlas-test-postgres-'));
  // It runs as a user of its own, who must be able to pass.
  await chmod(own, 0o755);
  const folder = options.folder ?? join(own, 'cluster');
  let server: NativePostgres = await startNativePostgres(folder, options.connectionsMax);
  const { url, port } = server;
  const signal = (name: NodeJS.Signals) => {
    for (const pid of processesOf(server.pid)) {
      try {
        process.kill(pid, name);
      } catch {
        // It has just ended.
      }
    }
  };
  const kill = async () => {
    const pids = processesOf(server.pid);
    signal('SIGKILL');
    await until(() => pids.every(isGone));
  };
  const started: TestPostgres = {
    url,
    get pid() {
      return server.pid;
    },
    kill,
    async pause() {
      // The one that starts the others first, so that none of them is missed.
      process.kill(server.pid, 'SIGSTOP');
      await untilStopped(server.pid);
      signal('SIGSTOP');
    },
    resume: () => signal('SIGCONT'),
    async restart() {
      await kill();
      server = await runNativePostgres(folder, port, options.connectionsMax);
    },
    async stop() {
      running.delete(started);
      signal('SIGCONT');
      await server.stop();
      await rm(own, { recursive: true, force: true, maxRetries: 10 });
    },
  };
  running.add(started);
  return started;
}

/** The server and the processes that it started. */
function processesOf(pid: number): number[] {
  if (isGone(pid)) return [];
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return [pid, ...children.split(' ').map(Number).filter(Boolean)];
}

/** Whether a process has ended. One that nobody has asked for its end yet is still listed, as a zombie. */
export function isGone(pid: number): boolean {
  try {
    return /^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
}

/** Ends every PostgreSQL that {@link startTestPostgres} started and nobody stopped. */
export async function stopTestPostgres(): Promise<void> {
  for (const server of running) {
    await server.kill();
    await server.stop();
  }
}
