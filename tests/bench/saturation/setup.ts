import { pinFamily } from '../support/cpu.ts';
import { type BenchDatabase, startDatabase } from '../support/database.ts';
import { CLIENT_CORE, SERVER_CORE } from '../support/oha.ts';
import { inRepository, type Server, startServer } from '../support/processes.ts';
import { startRedis } from '../support/redis.ts';

/** What a load runs against: the server and PostgreSQL on one core, Redis beside the client on the other. */
export interface OneCore {
  readonly database: BenchDatabase;
  readonly atlas: Server;
}

/** Settings of `atlas serve` with one worker, as a user would run it in production. */
export function atlasSettings(databaseUrl: string, redisUrl: string): Record<string, string> {
  return {
    ENVIRONMENT: 'production',
    API_PORT: '0',
    API_WORKERS: '1',
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
  };
}

/** Starts PostgreSQL, Redis and one worker of `atlas serve`, each on its core. They end with the benchmark. */
export async function startOnOneCore(): Promise<OneCore> {
  const database = await startDatabase();
  // The processes of later connections are its children, which inherit the core.
  pinFamily(database.pid, SERVER_CORE);
  const redis = await startRedis();
  pinFamily(redis.pid, CLIENT_CORE);
  const command = [process.execPath, inRepository('src/main.ts'), 'serve'];
  const env = atlasSettings(database.url, redis.url);
  return { database, atlas: await startServer(command, { core: SERVER_CORE, env }) };
}
