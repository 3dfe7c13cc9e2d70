import { mkdir, realpath, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import postgres from 'postgres';
import { dataFolderError, isFileError } from '../../../utils/data-folder-error.ts';
import { isConnectionLoss } from '../postgres.ts';
import { sessionSettings } from '../session-settings.ts';
import { findBinaries } from './binaries.ts';
import { claimCluster } from './claim-cluster.ts';
import type { ClusterLock } from './cluster-lock.ts';
import { createCluster, exists, makePassword, readPassword, USER } from './create-cluster.ts';
import { launchServer } from './launch-server.ts';
import {
  type FolderIdentity,
  folderIdentity,
  isServerOf,
  type RunningServer,
  removeStalePidFile,
} from './pid-file.ts';
import { chooseIdentity } from './run-as.ts';

/** A running embedded server. */
export interface EmbeddedPostgres {
  readonly url: string;
  readonly port: number;
  /** Stops the server, unless another process still uses it. */
  stop(): Promise<void>;
}

const CLUSTER = '18';
const PASSWORD = 'password';
const STOP_TIMEOUT_MS = 15_000;
const ATTEMPTS_MAX = 5;
const CONNECT_SECONDS = 5;

/** How an embedded server is started. */
export interface EmbeddedOptions {
  readonly connectionsMax: number;
  readonly preferredPort: number;
  /** Whether to create the data of a server if there is none. Commands that only read must not. */
  readonly create: boolean;
  readonly onProgress?: (text: string) => void;
}

/**
 * Starts a real PostgreSQL from the binaries of the npm package, or uses the one that already runs on this folder:
 * after a `kill -9` of Atlas the server keeps running, and the next start takes it over. A lock on the folder prevents
 * a second server. Throws an Error that says what to do.
 */
export async function startEmbeddedPostgres(
  dataDir: string,
  options: EmbeddedOptions,
): Promise<EmbeddedPostgres> {
  try {
    const named = resolve(dataDir, 'postgres');
    if (!options.create) await requireCluster(dataDir, join(named, CLUSTER, 'PG_VERSION'));
    await mkdir(named, { recursive: true });
    // Commands of older releases recognize a server by the name of its folder without symbolic links.
    const folder = await realpath(named);
    for (let attempt = 1; ; attempt++) {
      const claim = await claimCluster(folder, join(folder, CLUSTER), options.onProgress);
      try {
        const running = claim.running ?? (await startServer(folder, claim.lock, options));
        return await useServer(folder, running, claim.lock);
      } catch (error) {
        claim.lock.close();
        // The last process that used the server was just stopping it.
        if (attempt === ATTEMPTS_MAX || !isConnectionLoss(error)) throw error;
      }
    }
  } catch (error) {
    throw isFileError(error) ? dataFolderError(error, dataDir) : error;
  }
}

/** Starts a server, to which the lock passes. */
async function startServer(
  folder: string,
  lock: ClusterLock,
  { connectionsMax, preferredPort, onProgress }: EmbeddedOptions,
): Promise<RunningServer> {
  const cluster = join(folder, CLUSTER);
  await makePassword(join(folder, PASSWORD));
  const binaries = await findBinaries();
  const identity = await chooseIdentity(folder, binaries);
  if (!(await exists(join(cluster, 'PG_VERSION')))) {
    onProgress?.('creating the embedded PostgreSQL');
    await createCluster(cluster, binaries, identity, await readPassword(join(folder, PASSWORD)));
  }
  await removeStalePidFile(cluster);
  const server = { cluster, binaries, identity, connectionsMax, preferredPort, lockFd: lock.fd };
  const running = await launchServer(server);
  // From now on the server alone holds the lock, so that its end releases it.
  lock.close();
  return running;
}

async function useServer(
  folder: string,
  { pid, port }: RunningServer,
  lock: ClusterLock,
): Promise<EmbeddedPostgres> {
  const password = await readPassword(join(folder, PASSWORD));
  const url = `postgres://${USER}:${password}@127.0.0.1:${port}/atlas`;
  await ensureDatabase(url);
  const presence = await holdPresence(url);
  // Its identity, because the folder may be renamed while the server runs.
  const cluster = await folderIdentity(join(folder, CLUSTER));
  return {
    url,
    port,
    stop: async () => {
      await presence.end({ timeout: 1 });
      await stopUnlessShared(url, pid, cluster);
      lock.close();
    },
  };
}

async function requireCluster(dataDir: string, file: string): Promise<void> {
  const found = await stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return null;
  });
  if (found !== null) return;
  throw new Error(
    `There is no embedded PostgreSQL in ${dataDir} yet.\n  why:  Atlas was never started on this data folder, and this command does not create one\n  do:   start Atlas with npm start, set ATLAS_DATA_DIR to the folder of a running one, or set DATABASE_URL`,
  );
}

/** Keeps one connection open while the server is in use: a pool closes idle ones, so the server would look unused. */
async function holdPresence(url: string): Promise<postgres.Sql> {
  // To `postgres`, not `atlas`: a database with connections cannot be dropped or copied.
  const sql = connect(url, { database: 'postgres', name: 'atlas presence' });
  await sql`SELECT 1`;
  return sql;
}

async function ensureDatabase(url: string): Promise<void> {
  const sql = connect(url, { database: 'postgres' });
  try {
    const [found] = await sql`SELECT 1 FROM pg_database WHERE datname = 'atlas'`;
    if (!found) await sql`CREATE DATABASE atlas`.catch(ignoreDuplicate);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** Opens one connection. What is set for the database or the user, such as an idle timeout, must not end it. */
function connect(url: string, { database = 'atlas', name = 'atlas' } = {}): postgres.Sql {
  return postgres(url, {
    database,
    max: 1,
    idle_timeout: 0,
    max_lifetime: null,
    connect_timeout: CONNECT_SECONDS,
    onnotice: () => {},
    connection: { application_name: name, ...sessionSettings(0) },
  });
}

function ignoreDuplicate(error: Error & { code?: string }): void {
  if (error.code !== '42P04' && error.code !== '23505') throw error;
}

async function stopUnlessShared(url: string, pid: number, cluster: FolderIdentity | null): Promise<void> {
  const sql = connect(url);
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
  // It may have ended meanwhile, and another process may have its number.
  if (await isServerOf(cluster, pid)) process.kill(pid, 'SIGINT');
  const untilMs = performance.now() + STOP_TIMEOUT_MS;
  while (performance.now() < untilMs && (await isServerOf(cluster, pid))) await Bun.sleep(10);
}
