import { availableParallelism } from 'node:os';
import type { Cache } from './adapters/cache/cache.ts';
import { MemoryCache } from './adapters/cache/memory-cache.ts';
import { RedisCache } from './adapters/cache/redis-cache.ts';
import type { EventLog } from './adapters/event-log/event-log.ts';
import { openOutboxLog } from './adapters/event-log/postgres-log.ts';
import { OutgoingHttp } from './adapters/http/outgoing-http.ts';
import { openKafkaLog } from './adapters/kafka/kafka-log.ts';
import { directoryStore } from './adapters/object-store/directory-store.ts';
import type { ObjectStore } from './adapters/object-store/object-store.ts';
import { type Database, openDatabase } from './adapters/postgres/database.ts';
import { startEmbeddedPostgres } from './adapters/postgres/embedded/postgres-server.ts';
import { openRedis, type Redis } from './adapters/redis/redis.ts';
import { RedisLeaseStore } from './adapters/redis/redis-lease-store.ts';
import { type OpenedObjectStore, openS3Store } from './adapters/s3/s3-store.ts';
import type { Config } from './config.ts';
import type { Logger } from './instrumentation/logger.ts';
import type { Dependency } from './resilience/dependency.ts';
import { LEASE_ACCOUNT_SCRIPT } from './shedding/lease-script.ts';
import type { PermitSource } from './shedding/permit-source.ts';
import { SharedLeases } from './shedding/shared-leases.ts';
import { StaticShare } from './shedding/static-share.ts';
import type { Lifecycle } from './utils/lifecycle.ts';

const EMBEDDED_PORT = 5433;
const CACHE_ENTRIES_MAX = 10_000;
const CACHE_BYTES_MAX = 16 * 1024 * 1024;
// A request must never notice that its cache is slow.
const CACHE_TIMEOUT_MS_MAX = 50;

/** What Atlas stands on, opened as the configuration names it. */
export interface Deps {
  readonly config: Config;
  readonly logger: Logger;
  readonly database: Database;
  readonly databaseMode: 'embedded' | 'connected';
  readonly databaseUrl: string;
  readonly connectionsMax: number;
  /** Workers of this host that share what the configuration grants to it. */
  readonly workers: number;
  readonly lifecycle: Lifecycle;
  /** Only a worker connects to Redis, and only where one is configured. */
  readonly redis: Redis | null;
  /** In Redis where this is a worker that may connect to it once more, else in this process. */
  readonly cache: Cache;
  /** Where events go from the outbox. Nothing is connected before it is used. */
  readonly events: EventLog;
  /** The bytes of files. Nothing is connected or made before it is used. */
  readonly objects: ObjectStore;
  /** Sends to URLs that callers chose, and to public hosts only. */
  readonly outgoing: OutgoingHttp;
  /** Everything outside that is called through a breaker, for health, metrics and status. */
  readonly dependencies: readonly Dependency[];
  readonly permits: PermitSource;
  /** The text of `/metrics` for the whole cluster; null where this process is all there is. */
  readonly scrapeCluster: (() => Promise<string>) | null;
  /** Ends connections, and the embedded services that nobody else uses. */
  close(): Promise<void>;
}

/** What a worker is among those that share what the configuration grants to the host. */
export interface WorkerContext {
  readonly workers: number;
  /** Unlike that of any other worker's life, on any host. */
  readonly workerId: string;
  readonly databaseMode: Deps['databaseMode'];
  scrapeCluster(): Promise<string>;
}

/** How a process wants its dependencies. Without a place it has everything for itself. */
export interface DepsOptions {
  readonly onProgress?: (text: string) => void;
  readonly place?: WorkerContext;
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
  const database = openDatabase({
    url: databaseUrl,
    connectionsMax,
    timeoutSeconds: config.DATABASE_TIMEOUT,
    failureThreshold: config.CIRCUIT_BREAKER_FAILURE_THRESHOLD,
    recoveryTimeoutMs: config.CIRCUIT_BREAKER_RECOVERY_TIMEOUT * 1000,
  });
  const redis =
    place && config.REDIS_URL
      ? openRedis({
          url: config.REDIS_URL,
          timeoutMs: config.REDIS_TIMEOUT * 1000,
          onError: (err) => logger.debug({ err }, 'the connection to Redis failed'),
        })
      : null;
  const cache = openCache(config, logger, place);
  const events = openEventLog(config, logger, database);
  const objects = openObjectStore(config);
  return {
    config,
    logger,
    database,
    databaseMode: place?.databaseMode ?? (embedded ? 'embedded' : 'connected'),
    databaseUrl,
    connectionsMax,
    workers: place?.workers ?? 1,
    lifecycle: { draining: false },
    redis,
    cache,
    events,
    objects: objects.store,
    outgoing: new OutgoingHttp({ allowedHosts: config.WEBHOOKS_ALLOWED_HOSTS }),
    dependencies: [
      database.dependency,
      ...(cache.dependency ? [cache.dependency] : []),
      ...(events.dependency ? [events.dependency] : []),
      ...objects.dependencies,
    ],
    permits: openPermits(config, place, redis),
    scrapeCluster: place ? () => place.scrapeCluster() : null,
    close: async () => {
      redis?.disconnect();
      cache.close();
      objects.close();
      await events.close();
      await database.end({ timeout: config.DATABASE_TIMEOUT });
      await embedded?.stop();
    },
  };
}

/** Kafka where brokers are named, else the table of the events itself. */
function openEventLog(config: Config, logger: Logger, database: Database): EventLog {
  if (config.KAFKA_BROKERS.length === 0) return openOutboxLog(database);
  return openKafkaLog({
    brokers: config.KAFKA_BROKERS,
    prefix: config.KAFKA_TOPIC_PREFIX,
    database,
    failureThreshold: config.CIRCUIT_BREAKER_FAILURE_THRESHOLD,
    recoveryTimeoutMs: config.CIRCUIT_BREAKER_RECOVERY_TIMEOUT * 1000,
    onDebug: (text, facts) => logger.debug(facts, text),
    onTrouble: (err, text) => logger.warn({ err }, text),
  });
}

/** Leases of the cluster where there is Redis, else the share that the supervisor gives: nothing until it does. */
function openPermits(config: Config, place: WorkerContext | undefined, redis: Redis | null): PermitSource {
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

/** A cache that all workers share where there is Redis, and a connection left beside that of the permits. */
function openCache(config: Config, logger: Logger, place: WorkerContext | undefined): Cache {
  const connections = Math.floor(config.REDIS_MAX_CONNECTIONS / (place?.workers ?? 1));
  if (!place || !config.REDIS_URL || connections < 2)
    return new MemoryCache({ entriesMax: CACHE_ENTRIES_MAX, sizeBytesMax: CACHE_BYTES_MAX });
  return new RedisCache({
    redis: openRedis({
      url: config.REDIS_URL,
      timeoutMs: config.REDIS_TIMEOUT * 1000,
      onError: (err) => logger.debug({ err }, 'the connection of the cache to Redis failed'),
    }),
    prefix: config.REDIS_PREFIX,
    timeoutMs: Math.min(CACHE_TIMEOUT_MS_MAX, config.REDIS_TIMEOUT * 1000),
    failureThreshold: config.CIRCUIT_BREAKER_FAILURE_THRESHOLD,
    recoveryTimeoutMs: config.CIRCUIT_BREAKER_RECOVERY_TIMEOUT * 1000,
  });
}

/** A bucket of S3 where one is configured, else a folder. */
function openObjectStore(config: Config): OpenedObjectStore {
  const { S3_ENDPOINT: endpoint } = config;
  if (!endpoint) return { store: directoryStore(config.ATLAS_DATA_DIR), dependencies: [], close: () => {} };
  return openS3Store({
    endpoint,
    publicEndpoint: config.S3_PUBLIC_ENDPOINT ?? endpoint,
    region: config.S3_REGION,
    // That these are set where an endpoint is, the configuration has checked.
    bucket: config.S3_BUCKET!,
    accessKeyId: config.S3_ACCESS_KEY_ID!,
    secretAccessKey: config.S3_SECRET_ACCESS_KEY!,
    attemptsMax: config.RETRY_MAX_ATTEMPTS,
    failureThreshold: config.CIRCUIT_BREAKER_FAILURE_THRESHOLD,
    recoveryTimeoutMs: config.CIRCUIT_BREAKER_RECOVERY_TIMEOUT * 1000,
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
