import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, mkdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { installPackages } from './debian.ts';

/** PostgreSQL 15 of Debian's packages: the real server that tests and benchmarks use where there is no Docker. */
export const POSTGRES_BIN = '/usr/lib/postgresql/15/bin';
const READY_TIMEOUT_MS = 30_000;
const DUPLICATE_DATABASE = '42P04';
const run = promisify(execFile);

/** A server started here. */
export interface NativePostgres {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Settles when the server has ended, for whatever reason. */
  readonly exited: Promise<void>;
  /** Ends it in order, without waiting for its clients to leave, and waits until it is gone. Its data stays. */
  end(): Promise<void>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

export function isPostgresInstalled(): boolean {
  return existsSync(join(POSTGRES_BIN, 'postgres'));
}

/** Installs the package where it is missing. Needs Debian and root; throws with what to do otherwise. */
export async function installPostgres(onProgress: (text: string) => void = () => {}): Promise<void> {
  if (isPostgresInstalled()) return;
  onProgress('installing postgresql-15');
  await installPackages('postgresql-15');
}

/** Makes a new cluster in an empty folder and starts it on the loopback interface, on a free port unless one is given. */
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

/** Starts the server on a cluster that {@link startNativePostgres} made in the folder, also after a crash. */
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
  const child = spawn(
    join(POSTGRES_BIN, 'postgres'),
    ['-D', join(folder, 'data'), '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])],
    { ...(await serverIds()), cwd: folder, stdio: 'ignore' },
  );
  const exited = new Promise<void>((done) => child.once('exit', () => done()));
  await waitUntilReady(`postgres://atlas@127.0.0.1:${port}/postgres`, exited);
  const url = `postgres://atlas@127.0.0.1:${port}/atlas`;
  const end = async () => {
    child.kill('SIGINT');
    await exited;
  };
  const stop = async () => {
    await end();
    await rm(folder, { recursive: true, force: true });
  };
  return { url, port, pid: child.pid!, exited, end, stop };
}

/** The user that the server runs as: it refuses to be root. */
async function serverIds(): Promise<{ uid?: number; gid?: number }> {
  return process.getuid?.() === 0 ? { uid: await idOf('-u'), gid: await idOf('-g') } : {};
}

async function waitUntilReady(admin: string, exited: Promise<void>): Promise<void> {
  let alive = true;
  void exited.then(() => {
    alive = false;
  });
  const untilMs = performance.now() + READY_TIMEOUT_MS;
  while (alive && performance.now() < untilMs) {
    const sql = postgres(admin, { max: 1, connect_timeout: 2, onnotice: () => {} });
    try {
      await sql`CREATE DATABASE atlas`;
      return;
    } catch (error) {
      if (error instanceof postgres.PostgresError && error.code === DUPLICATE_DATABASE) return;
      await Bun.sleep(30);
    } finally {
      await sql.end({ timeout: 1 });
    }
  }
  throw new Error(
    `PostgreSQL 15 did not start.\n  why:  it ended or did not answer in time\n  do:   see whether something else uses its port (${new URL(admin).port}), such as the PostgreSQL of an Atlas that runs`,
  );
}

async function idOf(flag: '-u' | '-g'): Promise<number> {
  return Number((await run('id', [flag, 'postgres'])).stdout);
}

/** A port of the loopback interface that nobody uses now. */
export function freePort(): Promise<number> {
  return new Promise((done) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });
}
