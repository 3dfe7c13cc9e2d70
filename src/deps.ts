import { availableParallelism } from 'node:os';
import type { Cache } from './adapters/cache/cache.ts';
import { MemoryCache } from './adapters/cache/memory-cache.ts';
import { RedisCache } from './adapters/cache/redis-cache.ts';
import type { EventLog } from './adapters/event-log/event-log.ts';
import { openOutboxLog } from './adapters/event-log/postgres-log.ts';
import { OutgoingHttp } from './adapters/http/outgoing-http.ts';
import type { KafkaAccess } from './adapters/kafka/kafka-access.ts';
import { openKafkaLog } from './adapters/kafka/kafka-log.ts';
import type { Mailer } from './adapters/mail/mailer.ts';
import { openMailer } from './adapters/mail/open-mailer.ts';
import { directoryStore } from './adapters/object-store/directory-store.ts';
import type { ObjectStore } from './adapters/object-store/object-store.ts';
import type { IdentityProvider } from './adapters/oidc/identity-provider.ts';
import { openIdentityProvider } from './adapters/oidc/openid-provider.ts';
import { type IgnoredParameter, readConnectionUrl } from './adapters/postgres/connection-url.ts';
import { type Database, openDatabase } from './adapters/postgres/database.ts';
import { startEmbeddedPostgres } from './adapters/postgres/embedded/postgres-server.ts';
import { Incarnation } from './adapters/postgres/incarnation.ts';
import { openSealing } from './adapters/postgres/secrets-at-rest.ts';
import { openRedis, type Redis, type RedisOptions } from './adapters/redis/redis.ts';
import { redisRemedy } from './adapters/redis/redis-fault.ts';
import { RedisLeaseStore } from './adapters/redis/redis-lease-store.ts';
import { type OpenedObjectStore, openS3Store } from './adapters/s3/s3-store.ts';
import type { Config } from './config.ts';
import { backgroundLog, type ReportFailure } from './instrumentation/background-log.ts';
import { DependencyOutages } from './instrumentation/dependency-outages.ts';
import type { Logger } from './instrumentation/logger.ts';
import type { Dependency } from './resilience/dependency.ts';
import { LEASE_ACCOUNT_SCRIPT } from './shedding/lease-script.ts';
import type { PermitSource } from './shedding/permit-source.ts';
import { SharedLeases } from './shedding/shared-leases.ts';
import { StaticShare } from './shedding/static-share.ts';
import type { Lifecycle } from './utils/lifecycle.ts';
import type { Sealing } from './utils/sealing.ts';

const EMBEDDED_PORT = 5433;
const CACHE_ENTRIES_MAX = 10_000;
const CACHE_BYTES_MAX = 16 * 1024 * 1024;
// A slow cache must not slow a request down.
const CACHE_TIMEOUT_MS_MAX = 50;

/** Everything Atlas depends on, opened as configured. */
export interface Deps {
  readonly config: Config;
  readonly logger: Logger;
  readonly outages: DependencyOutages;
  /** Logs failures of background work. */
  readonly reportFailure: ReportFailure;
  readonly database: Database;
  /** This process as the holder of leases in PostgreSQL. */
  readonly incarnation: Incarnation;
  readonly databaseMode: 'embedded' | 'connected';
  readonly databaseUrl: string;
  /** Parameters of `DATABASE_URL` that have no effect. */
  readonly ignoredParameters: readonly IgnoredParameter[];
  readonly connectionsMax: number;
  /** Workers of this host that share its limits. */
  readonly workers: number;
  readonly lifecycle: Lifecycle;
  /** Null outside of workers, and if no Redis is configured. */
  readonly redis: Redis | null;
  /** In Redis if this is a worker that may open a second connection to it, otherwise in memory. */
  readonly cache: Cache;
  /** Where the relay sends events. Connects on first use. */
  readonly events: EventLog;
  /** The content of files. Connects, or creates its directory, on first use. */
  readonly objects: ObjectStore;
  /** Sends to URLs chosen by callers, and only to public or explicitly allowed hosts. */
  readonly outgoing: OutgoingHttp;
  /** Signs people in; null if no OpenID Connect provider is configured. */
  readonly identityProvider: IdentityProvider | null;
  /** Seals and opens the secrets that are stored. */
  readonly sealing: Sealing;
  /** Delivers mails. Connects on first use. */
  readonly mailer: Mailer;
  /** Every dependency behind a circuit breaker, for health, metrics, and status. */
  readonly dependencies: readonly Dependency[];
  readonly permits: PermitSource;
  /** Returns the text of `/metrics` for the whole cluster; null if there is only this process. */
  readonly scrapeCluster: (() => Promise<string>) | null;
  /** Closes connections, and stops embedded services that no other process uses. */
  close(): Promise<void>;
}

/** A worker among those that share the limits of this host. */
export interface WorkerContext {
  readonly workers: number;
  /** Unique to this incarnation of the worker, across all hosts. */
  readonly workerId: string;
  readonly databaseMode: Deps['databaseMode'];
  scrapeCluster(): Promise<string>;
}

/** How a process opens its dependencies. Without `worker`, it has the limits of the host to itself. */
export interface DepsOptions {
  readonly onProgress?: (text: string) => void;
  readonly worker?: WorkerContext;
  /** Whether to create an embedded PostgreSQL if there is none. Only what migrates it may: it is empty. */
  readonly create?: boolean;
  /** Connections to PostgreSQL, for a process that needs fewer than its share. */
  readonly connectionsMax?: number;
}

/** Opens the configured dependencies, and starts an embedded PostgreSQL if none is configured. */
export async function openDeps(
  config: Config,
  logger: Logger,
  { onProgress = () => {}, worker, ...options }: DepsOptions = {},
): Promise<Deps> {
  const hostConnections = config.DATABASE_POOL_SIZE + config.DATABASE_MAX_OVERFLOW;
  const connectionsMax = options.connectionsMax ?? shareOf(hostConnections, worker?.workers ?? 1);
  const connection = config.DATABASE_URL ? readConnectionUrl(config.DATABASE_URL) : null;
  const embedded = connection
    ? null
    : await startEmbeddedPostgres(config.ATLAS_DATA_DIR, {
        // One share on top: while a worker is replaced, its successor has a pool too.
        connectionsMax: hostConnections + shareOf(hostConnections, workersOf(config)),
        preferredPort: EMBEDDED_PORT,
        create: options.create ?? false,
        onProgress,
      });
  const databaseUrl = connection?.url ?? embedded!.url;
  const database = openDatabase({
    url: databaseUrl,
    connectionsMax,
    timeoutSeconds: config.DATABASE_TIMEOUT,
    failureThreshold: config.CIRCUIT_BREAKER_FAILURE_THRESHOLD,
    recoveryTimeoutMs: config.CIRCUIT_BREAKER_RECOVERY_TIMEOUT * 1000,
  });
  const incarnation = new Incarnation(database, worker?.workerId);
  const redis =
    worker && config.REDIS_URL
      ? openRedis({
          ...redisOptions(config, config.REDIS_URL),
          onError: redisErrorLog(logger, 'the connection to Redis failed'),
        })
      : null;
  const cache = openCache(config, logger, worker);
  const dependencies: Dependency[] = [];
  const outages = new DependencyOutages(logger, dependencies);
  const reportFailure = backgroundLog(logger, outages);
  const events = openEventLog({ config, logger, reportFailure, database, incarnation });
  const objects = openObjectStore(config);
  const mailer = openMailer(config, (text) => logger.info(text));
  const identityProvider = openIdentityProvider(config);
  const ofEach = [database, cache, events, mailer].map(({ dependency }) => dependency);
  ofEach.push(...objects.dependencies, identityProvider?.dependency ?? null);
  dependencies.push(...ofEach.filter((dependency) => dependency !== null));
  return {
    config,
    logger,
    outages,
    reportFailure,
    database,
    incarnation,
    databaseMode: worker?.databaseMode ?? (embedded ? 'embedded' : 'connected'),
    databaseUrl,
    ignoredParameters: connection?.ignored ?? [],
    connectionsMax,
    workers: worker?.workers ?? 1,
    lifecycle: { draining: false },
    redis,
    cache,
    events,
    objects: objects.store,
    outgoing: new OutgoingHttp({ allowedHosts: config.WEBHOOKS_ALLOWED_HOSTS }),
    identityProvider,
    sealing: openSealing(config),
    mailer,
    dependencies,
    permits: openPermits(config, worker, redis),
    scrapeCluster: worker ? () => worker.scrapeCluster() : null,
    close: async () => {
      redis?.disconnect();
      cache.close();
      objects.close();
      mailer.close();
      await Promise.all([events.close(), incarnation.close()]);
      await database.end({ timeout: config.DATABASE_TIMEOUT });
      await embedded?.stop();
    },
  };
}

/** Opens Kafka if brokers are configured, otherwise the events table itself. */
function openEventLog({
  config,
  logger,
  reportFailure,
  database,
  incarnation,
}: Pick<Deps, 'config' | 'logger' | 'reportFailure' | 'database' | 'incarnation'>): EventLog {
  if (config.KAFKA_BROKERS.length === 0) return openOutboxLog(database);
  return openKafkaLog({
    access: kafkaAccess(config),
    prefix: config.KAFKA_TOPIC_PREFIX,
    database,
    incarnation,
    failureThreshold: config.CIRCUIT_BREAKER_FAILURE_THRESHOLD,
    recoveryTimeoutMs: config.CIRCUIT_BREAKER_RECOVERY_TIMEOUT * 1000,
    onDebug: (text, facts) => logger.debug(facts, text),
    onTrouble: (err, text) => reportFailure(err, text),
  });
}

/** Returns how to connect to the brokers with these settings. */
export function kafkaAccess(config: Config): KafkaAccess {
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD } = config;
  return {
    brokers: config.KAFKA_BROKERS,
    tls: config.KAFKA_TLS ? { caFile: config.KAFKA_CA_FILE } : null,
    // `loadConfig` checks that these are set if the mechanism is.
    login: mechanism ? { mechanism, username: KAFKA_SASL_USERNAME!, password: KAFKA_SASL_PASSWORD! } : null,
  };
}

/** Leases from Redis if configured, otherwise the share assigned by the supervisor, which is 0 until it is. */
function openPermits(config: Config, worker: WorkerContext | undefined, redis: Redis | null): PermitSource {
  const cap = config.LOAD_SHEDDING_MAX_CONCURRENT;
  if (!worker) return new StaticShare(cap, 1, cap);
  if (!redis) return new StaticShare(cap, worker.workers, 0);
  return new SharedLeases({
    store: new RedisLeaseStore({ redis, script: LEASE_ACCOUNT_SCRIPT, prefix: config.REDIS_PREFIX }),
    workerId: worker.workerId,
    cap,
    fallbackWorkers: worker.workers,
    riseAfterMs: (config.HTTP_TIMEOUT + config.DATABASE_TIMEOUT) * 1000,
  });
}

/** Returns how to connect to the Redis of the URL with these settings. */
export function redisOptions({ REDIS_CA_FILE, REDIS_TIMEOUT }: Config, url: string): RedisOptions {
  return { url, caFile: REDIS_CA_FILE, timeoutMs: REDIS_TIMEOUT * 1000 };
}

/** Permits and cache report that Redis is unavailable. What only an operator can fix is logged on top. */
function redisErrorLog(logger: Logger, text: string): (err: Error) => void {
  return (err) => {
    const remedy = redisRemedy(err);
    if (remedy === null) logger.debug({ err }, text);
    else logger.warn({ err, do: remedy }, text);
  };
}

/** Redis if configured and if a connection is left besides that of the permits, otherwise memory. */
function openCache(config: Config, logger: Logger, worker: WorkerContext | undefined): Cache {
  const connections = Math.floor(config.REDIS_MAX_CONNECTIONS / (worker?.workers ?? 1));
  if (!worker || !config.REDIS_URL || connections < 2)
    return new MemoryCache({ entriesMax: CACHE_ENTRIES_MAX, sizeBytesMax: CACHE_BYTES_MAX });
  return new RedisCache({
    redis: openRedis({
      ...redisOptions(config, config.REDIS_URL),
      onError: redisErrorLog(logger, 'the connection of the cache to Redis failed'),
    }),
    prefix: config.REDIS_PREFIX,
    timeoutMs: Math.min(CACHE_TIMEOUT_MS_MAX, config.REDIS_TIMEOUT * 1000),
    failureThreshold: config.CIRCUIT_BREAKER_FAILURE_THRESHOLD,
    recoveryTimeoutMs: config.CIRCUIT_BREAKER_RECOVERY_TIMEOUT * 1000,
  });
}

/** Opens an S3 bucket if one is configured, otherwise a directory. */
function openObjectStore(config: Config): OpenedObjectStore {
  const { S3_ENDPOINT: endpoint } = config;
  if (!endpoint) return { store: directoryStore(config.ATLAS_DATA_DIR), dependencies: [], close: () => {} };
  return openS3Store({
    endpoint,
    publicEndpoint: config.S3_PUBLIC_ENDPOINT ?? endpoint,
    region: config.S3_REGION,
    // `loadConfig` checks that these are set if the endpoint is.
    bucket: config.S3_BUCKET!,
    accessKeyId: config.S3_ACCESS_KEY_ID!,
    secretAccessKey: config.S3_SECRET_ACCESS_KEY!,
    attemptsMax: config.RETRY_MAX_ATTEMPTS,
    failureThreshold: config.CIRCUIT_BREAKER_FAILURE_THRESHOLD,
    recoveryTimeoutMs: config.CIRCUIT_BREAKER_RECOVERY_TIMEOUT * 1000,
  });
}

/** Returns how many workers this host runs. Only Linux balances connections among processes; each needs a permit. */
export function workersOf(config: Config): number {
  if (process.platform !== 'linux') return 1;
  return Math.min(config.API_WORKERS ?? availableParallelism(), config.LOAD_SHEDDING_MAX_CONCURRENT);
}

/** Returns the share of a host-wide budget that one worker gets. */
function shareOf(budget: number, workers: number): number {
  return Math.max(1, Math.floor(budget / workers));
}
