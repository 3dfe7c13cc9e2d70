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
import { forget, register, signalIfRunning, type TestService } from './test-service.ts';
import { until } from './until.ts';

/** A PostgreSQL 15 with an empty database `atlas`. Its signals go to all of its processes. */
export interface TestPostgres extends TestService {
  readonly url: string;
}

/** Whether tests that kill a PostgreSQL can run here. Throws if ATLAS_REQUIRE_SERVICES=1 and it is missing. */
export function isPostgresHere(): boolean {
  return isAvailable('PostgreSQL 15', isPostgresInstalled() ? POSTGRES_BIN : null);
}

/** Starts a PostgreSQL with its data in the folder, by default in a new one. */
export async function startTestPostgres({
  folder: given,
}: {
  readonly folder?: string;
} = {}): Promise<TestPostgres> {
  const own = await mkdtemp(join(tmpdir(), 'atlas-test-postgres-'));
  // The server runs as another user, who must be able to enter the folder.
  await chmod(own, 0o755);
  const folder = given ?? join(own, 'cluster');
  let server: NativePostgres = await startNativePostgres(folder);
  const { url, port } = server;
  const signal = (name: NodeJS.Signals) => {
    for (const pid of processesOf(server.pid)) signalIfRunning(pid, name);
  };
  const kill = async () => {
    const pids = processesOf(server.pid);
    signal('SIGKILL');
    await until(() => pids.every(isGone));
  };
  const started: TestPostgres = register({
    url,
    get pid() {
      return server.pid;
    },
    kill,
    async pause() {
      // The process that starts the others goes first, so that none is missed.
      process.kill(server.pid, 'SIGSTOP');
      await untilStopped(server.pid);
      signal('SIGSTOP');
    },
    resume: () => signal('SIGCONT'),
    async restart() {
      await kill();
      server = await runNativePostgres(folder, port);
    },
    async stop() {
      forget(started);
      signal('SIGCONT');
      await server.stop();
      await rm(own, { recursive: true, force: true, maxRetries: 10 });
    },
  });
  return started;
}

/** Returns the server process and its children. */
function processesOf(pid: number): number[] {
  if (isGone(pid)) return [];
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return [pid, ...children.split(' ').map(Number).filter(Boolean)];
}

/** Whether a process has exited. A zombie has, though its parent has not reaped it. */
export function isGone(pid: number): boolean {
  try {
    return /^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
}
