import { startEmbeddedPostgres } from './adapters/embedded/postgres-server.ts';
import { openPostgres, type Sql } from './adapters/postgres.ts';
import type { Config } from './config.ts';
import type { Lifecycle } from './features/health/service.ts';
import type { Logger } from './instrumentation/logger.ts';

const EMBEDDED_PORT = 5433;

/** What Atlas stands on, opened as the configuration names it. */
export interface Deps {
  readonly config: Config;
  readonly logger: Logger;
  readonly sql: Sql;
  readonly databaseMode: 'embedded' | 'connected';
  readonly databaseUrl: string;
  readonly connectionsMax: number;
  readonly lifecycle: Lifecycle;
  /** Ends connections, and the embedded services that nobody else uses. */
  close(): Promise<void>;
}

/** Opens what the configuration names, and starts what it leaves out. */
export async function openDeps(
  config: Config,
  logger: Logger,
  onProgress: (text: string) => void = () => {},
): Promise<Deps> {
  const connectionsMax = config.DATABASE_POOL_SIZE + config.DATABASE_MAX_OVERFLOW;
  const embedded = config.DATABASE_URL
    ? null
    : await startEmbeddedPostgres(config.ATLAS_DATA_DIR, {
        connectionsMax,
        preferredPort: EMBEDDED_PORT,
        onProgress,
      });
  const databaseUrl = config.DATABASE_URL ?? embedded!.url;
  const sql = openPostgres({ url: databaseUrl, connectionsMax, timeoutSeconds: config.DATABASE_TIMEOUT });
  return {
    config,
    logger,
    sql,
    databaseMode: embedded ? 'embedded' : 'connected',
    databaseUrl,
    connectionsMax,
    lifecycle: { draining: false },
    close: async () => {
      await sql.end({ timeout: config.DATABASE_TIMEOUT });
      await embedded?.stop();
    },
  };
}
