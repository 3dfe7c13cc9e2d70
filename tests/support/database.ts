import { spawn } from 'node:child_process';
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isPostgresInstalled, startNativePostgres } from '../../infra/native-postgres.ts';
import { type Database, type DatabaseOptions, openDatabase } from '../../src/adapters/postgres/database.ts';
import { startEmbeddedPostgres } from '../../src/adapters/postgres/embedded/postgres-server.ts';
import { migrateUp, readMigrations } from '../../src/adapters/postgres/migrations.ts';
import { openPostgres, type Sql } from '../../src/adapters/postgres/postgres.ts';
import { isGone } from './postgres.ts';
import { until } from './until.ts';

/** The PostgreSQL servers that Atlas supports: the embedded one, and that of Debian. */
export type Engine = 'embedded' | 'native';

interface TestServer {
  readonly url: string;
  readonly admin: Sql;
  stop(): Promise<void>;
}

const servers = new Map<Engine, Promise<TestServer>>();
let databases = 0;

/** Returns the installed engines. Throws if ATLAS_REQUIRE_SERVICES=1 and one is missing. */
export function availableEngines(): Engine[] {
  if (isPostgresInstalled()) return ['embedded', 'native'];
  if (process.env.ATLAS_REQUIRE_SERVICES === '1')
    throw new Error('PostgreSQL 15 is required: run `npm run services -- install`.');
  console.warn(
    'PostgreSQL 15 is not installed. Run `npm run services -- install` to install it. Skipping its tests.',
  );
  return ['embedded'];
}

/** Creates a migrated database, on a server that all tests of this process share. */
export async function freshDatabase(engine: Engine = 'embedded'): Promise<string> {
  if (!servers.has(engine)) servers.set(engine, startServer(engine));
  const { url, admin } = await servers.get(engine)!;
  const name = `test_${process.pid}_${++databases}`;
  await admin.unsafe(`CREATE DATABASE ${name} TEMPLATE atlas`);
  return Object.assign(new URL(url), { pathname: `/${name}` }).href;
}

/** Opens a database as Atlas does, with limits that no test reaches by accident. */
export function openTestDatabase(url: string, options: Partial<DatabaseOptions> = {}): Database {
  const limits = { connectionsMax: 8, timeoutSeconds: 20, failureThreshold: 5, recoveryTimeoutMs: 60_000 };
  return openDatabase({ url, ...limits, ...options });
}

async function startServer(engine: Engine): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), 'atlas-test-'));
  await chmod(folder, 0o755);
  const server =
    engine === 'native'
      ? await startNativePostgres(folder)
      : await startEmbeddedPostgres(folder, { connectionsMax: 200, preferredPort: 0, create: true });
  // The database `atlas` becomes the template: migrated once, then copied in milliseconds.
  const template = openPostgres({ url: server.url, connectionsMax: 2, timeoutSeconds: 10 });
  await migrateUp(template, await readMigrations());
  await template.end();
  const admin = openPostgres({
    url: Object.assign(new URL(server.url), { pathname: '/postgres' }).href,
    connectionsMax: 1,
    timeoutSeconds: 30,
  });
  const stop = async () => {
    const [row] = await admin`SELECT split_part(pg_read_file('postmaster.pid'), chr(10), 1)::int AS pid`;
    await admin.end({ timeout: 1 });
    // An immediate shutdown: a fast one would first write out hundreds of databases.
    process.kill(row!.pid, 'SIGQUIT');
    await until(() => isGone(row!.pid));
    // Hundreds of databases are half a million files. Nobody waits until they are gone.
    spawn('rm', ['-rf', folder], { detached: true, stdio: 'ignore' }).unref();
  };
  return { url: server.url, admin, stop };
}

/** Stops every server that {@link freshDatabase} started. */
export async function stopTestDatabases(): Promise<void> {
  await Promise.all([...servers.values()].map(async (server) => (await server).stop()));
  servers.clear();
}
