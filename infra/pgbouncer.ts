import { existsSync } from 'node:fs';
import { chown, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { installPackages, stopService } from './debian.ts';
import { freePort } from './free-port.ts';
import { serverIds } from './native-postgres.ts';
import { type NativeProcess, startNativeProcess } from './native-process.ts';

const BINARY = '/usr/sbin/pgbouncer';
const READY_TIMEOUT_MS = 10_000;

/** A PgBouncer started here. */
export interface PgBouncer extends NativeProcess {
  /** The URL of the database through the pooler. */
  readonly url: string;
}

export interface PgBouncerOptions {
  readonly poolMode: 'session' | 'transaction';
  /** Lines that are added to its configuration. */
  readonly configuration?: string;
}

/** Returns the path of Debian's PgBouncer, or null if it is not installed. */
export function findPgBouncer(): string | null {
  return existsSync(BINARY) ? BINARY : null;
}

export async function installPgBouncer(): Promise<void> {
  if (findPgBouncer() !== null) return;
  await installPackages('pgbouncer');
  stopService('pgbouncer');
}

/** Starts a PgBouncer in front of the database of a URL, on a free port of the loopback interface. */
export async function startPgBouncer(
  folder: string,
  databaseUrl: string,
  { poolMode, configuration = '' }: PgBouncerOptions,
): Promise<PgBouncer> {
  const { hostname, port, pathname, username } = new URL(databaseUrl);
  const listenPort = await freePort();
  const file = join(folder, 'pgbouncer.ini');
  const users = join(folder, 'users.txt');
  await writeFile(users, `"${username}" ""\n`);
  await writeFile(
    file,
    `[databases]
* = host=${hostname} port=${port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${listenPort}
unix_socket_dir =
auth_type = trust
auth_file = ${users}
pool_mode = ${poolMode}
default_pool_size = 100
max_client_conn = 200
${configuration}
`,
  );
  // It refuses to run as root.
  const ids = await serverIds();
  if (ids.uid !== undefined) for (const path of [folder, file, users]) await chown(path, ids.uid, ids.gid!);
  const started = await startNativeProcess({
    title: 'PgBouncer',
    command: BINARY,
    args: [file],
    spawn: ids,
    isReady: (output) => output.includes('process up'),
    readyTimeoutMs: READY_TIMEOUT_MS,
    remedy: `check whether another process uses its port (${listenPort})`,
  });
  return { ...started, url: `postgres://${username}@127.0.0.1:${listenPort}${pathname}` };
}
