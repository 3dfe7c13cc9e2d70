import { pinFamily } from '../support/cpu.ts';
import { type BenchDatabase, startDatabase } from '../support/database.ts';
import { CLIENT_CORE, SERVER_CORE } from '../support/oha.ts';
import { HERE, inTree, type Server, startServer, type Tree } from '../support/processes.ts';
import { startRedis } from '../support/redis.ts';

/** What a load runs against: the server and PostgreSQL on one core, Redis beside the client on the other. */
export interface OneCore {
  readonly database: BenchDatabase;
  readonly atlas: Server;
}

/**
 * Starts PostgreSQL, Redis and one worker of `atlas serve`, each on its core, with the code of a tree: by default this
 * one, with further settings. They end with the benchmark.
 */
export async function startOnOneCore(
  tree: Tree = HERE,
  settings: Readonly<Record<string, string>> = {},
): Promise<OneCore> {
  const database = await startDatabase(tree);
  // The processes of later connections are its children, which inherit the core.
  pinFamily(database.pid, SERVER_CORE);
  const redis = await startRedis();
  pinFamily(redis.pid, CLIENT_CORE);
  const env = {
    ENVIRONMENT: 'production',
    API_PORT: '0',
    API_WORKERS: '1',
    DATABASE_URL: database.url,
    REDIS_URL: redis.url,
    ...settings,
  };
  const command = [process.execPath, inTree(tree, 'src/main.ts'), 'serve'];
  return { database, atlas: await startServer(command, { core: SERVER_CORE, env }) };
}
