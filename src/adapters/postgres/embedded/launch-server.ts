import { spawn } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import type { Binaries } from './binaries.ts';
import { findRunning, isListed, type RunningServer } from './pid-file.ts';
import { commandFor, type Identity } from './run-as.ts';

const READY_TIMEOUT_MS = 60_000;

/** What a server is started with. */
export interface Launch {
  readonly cluster: string;
  readonly binaries: Binaries;
  readonly identity: Identity | null;
  readonly connectionsMax: number;
  readonly preferredPort: number;
  /** The locked file of the cluster, which the server and all its processes inherit. */
  readonly lockFd: number;
}

/** Starts the server and waits until it is ready. Throws an Error with the end of its log. */
export async function launchServer(launch: Launch): Promise<RunningServer> {
  const { cluster, binaries, identity, connectionsMax, preferredPort, lockFd } = launch;
  const port = await freePort(preferredPort);
  const settings = [
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    `max_connections=${connectionsMax + 20}`,
    'shared_buffers=128MB',
    'max_wal_size=1GB',
    // Without the errors of statements: Atlas logs them itself, within its bounds, and this file has none.
    'log_min_messages=log',
  ].flatMap((setting) => ['-c', setting]);
  const { command, args, ids } = commandFor(identity, binaries.postgres, [
    '-D',
    cluster,
    '-p',
    String(port),
    ...settings,
  ]);
  const logFile = join(dirname(cluster), 'server.log');
  const log = await open(logFile, 'w');
  // In its own session, Ctrl+C in the terminal reaches only Atlas, which stops the server at the end.
  const child = spawn(command, args, {
    ...ids,
    cwd: dirname(cluster),
    stdio: ['ignore', log.fd, log.fd, lockFd],
    detached: true,
  });
  let exited = false;
  child.on('exit', () => {
    exited = true;
  });
  child.on('error', () => {
    exited = true;
  });
  child.unref();
  await log.close();
  const untilMs = performance.now() + READY_TIMEOUT_MS;
  while (performance.now() < untilMs) {
    const running = await findRunning(cluster);
    if (running) return running;
    // A server that an older release starts at the same time knows no lock. It will be ready soon.
    if (exited && !(await isListed(cluster))) break;
    await Bun.sleep(10);
  }
  const reason = (await readFile(logFile, 'utf8')).trim().split('\n').slice(-5).join('\n        ');
  throw new Error(
    `The embedded PostgreSQL did not start.\n  why:  ${reason || 'it wrote no log'}\n  do:   read ${logFile}, or set DATABASE_URL`,
  );
}

async function freePort(preferred: number): Promise<number> {
  return (await tryPort(preferred)) ?? (await tryPort(0))!;
}

function tryPort(port: number): Promise<number | null> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(null));
    server.listen(port, '127.0.0.1', () => {
      const { port: free } = server.address() as { port: number };
      server.close(() => done(free));
    });
  });
}
