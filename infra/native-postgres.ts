import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { installPackages } from './debian.ts';
import { freePort } from './free-port.ts';
import { type NativeProcess, startNativeProcess } from './native-process.ts';

/** Debian's PostgreSQL 15, the real server that tests and benchmarks use without Docker. */
export const POSTGRES_BIN = '/usr/lib/postgresql/15/bin';
const READY_TIMEOUT_MS = 30_000;
const DUPLICATE_DATABASE = '42P04';
const run = promisify(execFile);

/** A server started here. */
export interface NativePostgres extends Pick<NativeProcess, 'pid' | 'exited'> {
  readonly url: string;
  readonly port: number;
  /** Stops it with a fast shutdown, which does not wait for clients to disconnect. Its data stays. */
  end(): Promise<void>;
  /** Stops it and removes its folder. */
  stop(): Promise<void>;
}

export function isPostgresInstalled(): boolean {
  return existsSync(join(POSTGRES_BIN, 'postgres'));
}

/** Installs the package if it is missing. Needs Debian and root; throws what to do otherwise. */
export async function installPostgres(onProgress: (text: string) => void = () => {}): Promise<void> {
  if (isPostgresInstalled()) return;
  onProgress('installing postgresql-15');
  await installPackages('postgresql-15');
}

/** Creates a cluster in an empty folder and starts it on the loopback interface, by default on a free port. */
export async function startNativePostgres(
  folder: string,
  connectionsMax = 220,
  fixedPort?: number,
): Promise<NativePostgres> {
  const ids = await serverIds();
  await mkdir(folder, { recursive: true });
  if (ids.uid !== undefined) await chown(folder, ids.uid, ids.gid!);
  await run(
    join(POSTGRES_BIN, 'initdb'),
    ['-D', join(folder, 'data'), '-U', 'atlas', '-A', 'trust', '-E', 'UTF8', '--locale=C'],
    { ...ids, cwd: folder },
  );
  return runNativePostgres(folder, fixedPort ?? (await freePort()), connectionsMax);
}

/** Starts the server on a cluster that {@link startNativePostgres} created in the folder, also after a crash. */
export async function runNativePostgres(
  folder: string,
  port: number,
  connectionsMax = 220,
): Promise<NativePostgres> {
  const settings = [
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    `max_connections=${connectionsMax}`,
    'shared_buffers=128MB',
    'max_wal_size=1GB',
    'log_min_messages=warning',
  ];
  const admin = `postgres://atlas@127.0.0.1:${port}/postgres`;
  const process = await startNativeProcess({
    title: 'PostgreSQL 15',
    command: join(POSTGRES_BIN, 'postgres'),
    args: ['-D', join(folder, 'data'), '-p', `${port}`, ...settings.flatMap((setting) => ['-c', setting])],
    spawn: { ...(await serverIds()), cwd: folder },
    isReady: () => hasDatabase(admin),
    readyTimeoutMs: READY_TIMEOUT_MS,
    remedy: `check whether another process uses its port (${port}), such as the PostgreSQL of a running Atlas`,
  });
  const url = `postgres://atlas@127.0.0.1:${port}/atlas`;
  const end = () => process.end('SIGINT');
  const stop = async () => {
    await end();
    await rm(folder, { recursive: true, force: true });
  };
  return { url, port, pid: process.pid, exited: process.exited, end, stop };
}

/** The user to run the server as, because it refuses to run as root. */
export async function serverIds(): Promise<{ uid?: number; gid?: number }> {
  return process.getuid?.() === 0 ? { uid: await idOf('-u'), gid: await idOf('-g') } : {};
}

/** Creates the database of Atlas. Returns false while the server does not accept connections. */
async function hasDatabase(admin: string): Promise<boolean> {
  const sql = postgres(admin, { max: 1, connect_timeout: 2, onnotice: () => {} });
  try {
    await sql`CREATE DATABASE atlas`;
    return true;
  } catch (error) {
    return error instanceof postgres.PostgresError && error.code === DUPLICATE_DATABASE;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

async function idOf(flag: '-u' | '-g'): Promise<number> {
  return Number((await run('id', [flag, 'postgres'])).stdout);
}
