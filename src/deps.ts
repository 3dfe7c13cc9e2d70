import { availableParallelism } from 'node:os';
import { startEmbeddedPostgres } from './adapters/embedded/postgres-server.ts';
import { openPostgres, type Sql } from './adapters/postgres.ts';
import { openRedis, type Redis } from './adapters/redis.ts';
import { RedisLeaseStore } from './adapters/redis-lease-store.ts';
import type { Config } from './config.ts';
import type { Lifecycle } from './features/health/service.ts';
import type { Logger } from './instrumentation/logger.ts';
import { LEASE_ACCOUNT_SCRIPT } from './shedding/lease-script.ts';
import type { PermitSource } from './shedding/permit-source.ts';
import { SharedLeases } from './shedding/shared-leases.ts';
import { StaticShare } from './shedding/static-share.ts';

const EMBEDDED_PORT = 5433;

/** What Atlas stands on, opened as the configuration names it. */
export interface Deps {
  readonly config: Config;
  readonly logger: Logger;
  readonly sql: Sql;
  readonly databaseMode: 'embedded' | 'connected';
  readonly databaseUrl: string;
  readonly connectionsMax: number;
  /** Workers of this host that share what the configuration grants to it. */
  readonly workers: number;
  readonly lifecycle: Lifecycle;
  /** Only a worker connects to Redis, and only where one is configured. */
  readonly redis: Redis | null;
  readonly permits: PermitSource;
  /** The text of `/metrics` for the whole cluster; null where this process is all there is. */
  readonly scrapeCluster: (() => Promise<string>) | null;
  /** Ends connections, and the embedded services that nobody else uses. */
  close(): Promise<void>;
}

/** What a worker is among those that share what the configuration grants to the host. */
export interface Place {
  readonly workers: number;
  /** Unlike that of any other worker's life, on any host. */
  readonly workerId: string;
  readonly databaseMode: Deps['databaseMode'];
  scrapeCluster(): Promise<string>;
}

/** How a process wants its dependencies. Without a place it has everything for itself. */
export interface DepsOptions {
  readonly onProgress?: (text: string) => void;
  readonly place?: Place;
  /** Connections to PostgreSQL, where it needs fewer than it may have. */
  readonly connectionsMax?: number;
}

/** Opens what the configuration names, and starts what it leaves out. */
export async function openDeps(
  config: Config,
  logger: Logger,
  { onProgress = () => {}, place, ...options }: DepsOptions = {},
): Promise<Deps> {
  const hostConnections = config.DATABASE_POOL_SIZE + config.DATABASE_MAX_OVERFLOW;
  const connectionsMax = options.connectionsMax ?? shareOf(hostConnections, place?.workers ?? 1);
  const embedded = config.DATABASE_URL
    ? null
    : await startEmbeddedPostgres(config.ATLAS_DATA_DIR, {
        // One share more than the pools have: while a worker is replaced, its successor has a pool too.
        connectionsMax: hostConnections + shareOf(hostConnections, workersOf(config)),
        preferredPort: EMBEDDED_PORT,
        onProgress,
      });
  const databaseUrl = config.DATABASE_URL ?? embedded!.url;
  const sql = openPostgres({ url: databaseUrl, connectionsMax, timeoutSeconds: config.DATABASE_TIMEOUT });
  const redis =
    place && config.REDIS_URL
      ? openRedis({
          url: config.REDIS_URL,
          timeoutMs: config.REDIS_TIMEOUT * 1000,
          onError: (err) => logger.debug({ err }, 'the connection to Redis failed'),
        })
      : null;
  return {
    config,
    logger,
    sql,
    databaseMode: place?.databaseMode ?? (embedded ? 'embedded' : 'connected'),
    databaseUrl,
    connectionsMax,
    workers: place?.workers ?? 1,
    lifecycle: { draining: false },
    redis,
    permits: openPermits(config, place, redis),
    scrapeCluster: place ? () => place.scrapeCluster() : null,
    close: async () => {
      redis?.disconnect();
      await sql.end({ timeout: config.DATABASE_TIMEOUT });
      await embedded?.stop();
    },
  };
}

/** Leases of the cluster where there is Redis, else the share that the supervisor gives: nothing until it does. */
function openPermits(config: Config, place: Place | undefined, redis: Redis | null): PermitSource {
  const cap = config.LOAD_SHEDDING_MAX_CONCURRENT;
  if (!place) return new StaticShare(cap, 1, cap);
  if (!redis) return new StaticShare(cap, place.workers, 0);
  return new SharedLeases({
    store: new RedisLeaseStore({ redis, script: LEASE_ACCOUNT_SCRIPT, prefix: config.REDIS_PREFIX }),
    workerId: place.workerId,
    cap,
    fallbackWorkers: place.workers,
    riseAfterMs: (config.HTTP_TIMEOUT + config.DATABASE_TIMEOUT) * 1000,
  });
}

/** Workers that serve on this host. Only Linux spreads connections over processes, and each needs a permit. */
export function workersOf(config: Config): number {
  if (process.platform !== 'linux') return 1;
  return Math.min(config.API_WORKERS ?? availableParallelism(), config.LOAD_SHEDDING_MAX_CONCURRENT);
}

/** The part of a budget of the host that one worker has. */
function shareOf(budget: number, workers: number): number {
  return Math.max(1, Math.floor(budget / workers));
}
