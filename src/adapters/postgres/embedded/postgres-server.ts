import { mkdir, realpath } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import postgres from 'postgres';
import { findBinaries } from './binaries.ts';
import { createCluster, exists, readOrMakePassword, USER } from './create-cluster.ts';
import { launchServer } from './launch-server.ts';
import { findResponsive, removeStalePidFile } from './pid-file.ts';
import { chooseIdentity } from './run-as.ts';

/** A running embedded server. */
export interface EmbeddedPostgres {
  readonly url: string;
  readonly port: number;
  /** Stops the server, unless another process still uses it. */
  stop(): Promise<void>;
}

const STOP_TIMEOUT_MS = 15_000;

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
      await createCluster(cluster, binaries, identity, password);
    }
    await removeStalePidFile(cluster);
    running = await launchServer(cluster, binaries, identity, options.connectionsMax, options.preferredPort);
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
