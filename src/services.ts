import { hostname } from 'node:os';
import { CacheAside } from './adapters/cache/cache-aside.ts';
import { appliedMigrations, readMigrations } from './adapters/postgres/migrations.ts';
import { isTransient, mapDatabaseError, pingPostgres } from './adapters/postgres/postgres.ts';
import { pingRedis } from './adapters/redis/redis.ts';
import type { Deps } from './deps.ts';
import { createEventRepository } from './features/events/log/repository.ts';
import { createEventService } from './features/events/log/service.ts';
import { EventStreams } from './features/events/log/streams.ts';
import { Relay } from './features/events/relay/relay.ts';
import { createRelayRepository } from './features/events/relay/repository.ts';
import { createRelayService } from './features/events/relay/service.ts';
import type { FileRecord } from './features/files/domain.ts';
import { createFileRepository } from './features/files/repository.ts';
import { isStoredFile } from './features/files/schemas.ts';
import { createFileService } from './features/files/service.ts';
import { createKeyRepository } from './features/identity/keys/repository.ts';
import { createKeyService } from './features/identity/keys/service.ts';
import { createAccountRepository } from './features/ledger/accounts/repository.ts';
import { createAccountService } from './features/ledger/accounts/service.ts';
import type { Transfer } from './features/ledger/transfers/domain.ts';
import { GroupCommit } from './features/ledger/transfers/group-commit.ts';
import { createTransferRepository } from './features/ledger/transfers/repository.ts';
import { isTransfer } from './features/ledger/transfers/schemas.ts';
import { createTransferService } from './features/ledger/transfers/service.ts';
import { createLedgerRepository } from './features/ledger/verification/repository.ts';
import { createLedgerService } from './features/ledger/verification/service.ts';
import type { Probe } from './features/system/health/domain.ts';
import { createHealthService } from './features/system/health/service.ts';
import { DeliverySender } from './features/webhooks/deliveries/delivery-sender.ts';
import { createDeliveryRepository } from './features/webhooks/deliveries/repository.ts';
import { createDeliveryService } from './features/webhooks/deliveries/service.ts';
import { createWebhookRepository } from './features/webhooks/subscriptions/repository.ts';
import { createWebhookService } from './features/webhooks/subscriptions/service.ts';
import type { BackgroundLoop } from './resilience/background-loops.ts';
import type { Dependency } from './resilience/dependency.ts';

// Larger batches save nothing more. Of 512 callers, one half is answered while the other half is in PostgreSQL.
const BATCH_ITEMS_MAX = 256;
const WAITING_ITEMS_MAX = 4096;
// A queue at the ledger makes its batches larger, so it is worth having while a payment stays within its 100 ms.
const LEDGER_QUEUE_MS = 80;
const IDEMPOTENCY_DAYS = 30;
// For a command that asks how far the log is: without an answer it says so.
const ENDS_TIMEOUT_MS = 3000;

// Of one worker, and of one owner on it. An open stream costs next to nothing, and what comes for all is read in turn.
const STREAMS_MAX = 1000;
const STREAMS_OF_OWNER_MAX = 100;
// Half of the idle timeout of the listener for small settings of HTTP_TIMEOUT, so that no quiet stream is cut.
const HEARTBEAT_MS_MAX = 15_000;
const HEARTBEAT_MS_MIN = 5_000;

export type Services = ReturnType<typeof createServices>;

/** Builds the services of every feature over opened dependencies: what the routes and the commands call. */
export function createServices({
  config,
  sql,
  redis,
  cache,
  databaseMode,
  dependencies,
  workers,
  lifecycle,
  events,
  outgoing,
  objects,
  logger,
}: Deps) {
  const relayRepository = createRelayRepository(sql);
  const relay = new Relay({
    repository: relayRepository,
    publisher: events.publisher,
    holder: `${hostname()}:${process.pid}`,
    logger,
  });
  const transferCache = new CacheAside<Transfer>({
    cache,
    name: 'transfer.v1',
    ttlMs: 300_000,
    staleMs: 600_000,
    // An id that is free today may be posted in a moment.
    negativeTtlMs: 0,
    changes: false,
    fits: isTransfer,
  });
  /** A transfer never changes, so it need not be asked for twice. */
  const findTransfer = (id: string, signal?: AbortSignal) =>
    transferCache.find(id, (loading) => transferRepository.find(id, loading), signal);
  const transferRepository = createTransferRepository(sql);
  const groupCommit = new GroupCommit({
    post: async (requests) => {
      const results = await transferRepository.post(requests);
      relay.wake();
      return results;
    },
    waitedMs: transferRepository.waitedMs,
    isTransient,
    mapError: mapDatabaseError,
    batchItemsMax: BATCH_ITEMS_MAX,
    waitingItemsMax: WAITING_ITEMS_MAX,
  });
  const keys = createKeyService(createKeyRepository(sql));
  const eventRepository = createEventRepository(sql);
  const streams = new EventStreams({
    repository: eventRepository,
    isKeyUsable: keys.isUsable,
    lifecycle,
    onFailure: (err) => logger.warn({ err }, 'event streams wait for PostgreSQL'),
    heartbeatMs: Math.min(HEARTBEAT_MS_MAX, HEARTBEAT_MS_MIN + config.HTTP_TIMEOUT * 500),
    streamsMax: STREAMS_MAX,
    streamsOfOwnerMax: STREAMS_OF_OWNER_MAX,
  });
  const webhooks = createWebhookService(createWebhookRepository(sql), (url, signal) =>
    outgoing.check(url, signal),
  );
  const deliveryRepository = createDeliveryRepository(sql);
  const deliverySender = new DeliverySender(deliveryRepository, outgoing, (err) =>
    logger.warn({ err }, 'something about webhook deliveries failed; it is tried again'),
  );
  const fileCache = new CacheAside<FileRecord>({
    cache,
    name: 'file.v1',
    ttlMs: 60_000,
    staleMs: 300_000,
    // Atlas makes the ids, so none that is unknown is asked for before its file is there.
    negativeTtlMs: 5_000,
    changes: true,
    fits: isStoredFile,
  });
  const files = createFileService({
    repository: createFileRepository(sql),
    objects,
    known: fileCache,
    sizeBytesMax: config.FILES_MAX_BYTES,
    timeoutMs: config.FILES_TIMEOUT * 1000,
    onDamaged: ({ id }, found) => logger.error({ file: id, found }, 'a stored file is damaged'),
  });
  const probes = dependencies.map((dependency) => probeOf(dependency, databaseMode, sql));
  const redisProbe = redis && {
    name: 'redis',
    mode: 'connected' as const,
    // Without it the workers keep to their parts of the cap, and everything is served.
    required: false,
    ping: () => pingRedis(redis),
  };
  const isMigrated = async (signal: AbortSignal) =>
    (await appliedMigrations(sql, signal)) >= (await readMigrations()).length;

  return {
    keys,
    accounts: createAccountService(createAccountRepository(sql)),
    transfers: createTransferService({ ...transferRepository, find: findTransfer }, groupCommit),
    ledger: createLedgerService(createLedgerRepository(sql)),
    events: createEventService(eventRepository, streams),
    streams,
    files,
    webhooks,
    deliveries: createDeliveryService(deliveryRepository, webhooks),
    sendingStats: () => deliverySender.stats(),
    health: createHealthService(redisProbe ? [...probes, redisProbe] : probes, lifecycle, isMigrated),
    relay: createRelayService(relayRepository, events.ends, ENDS_TIMEOUT_MS),
    relayStats: () => relay.stats(),
    groupCommit,
    /** What reads through the cache. */
    caches: [transferCache, fileCache],
    /** What load shedding should know of the resources that these services use. */
    traits: {
      ledger: {
        queueMs: LEDGER_QUEUE_MS,
        inFlightMin: Math.min(2 * BATCH_ITEMS_MAX, config.LOAD_SHEDDING_MAX_CONCURRENT / 2) / workers,
      },
    },
    /** What one worker of each host does all the time. */
    loops: [
      relay.loop,
      {
        name: 'webhook fan-out',
        run: (signal) => events.consumer.run('webhooks', deliveryRepository.fanOut, signal),
      },
      deliverySender,
    ] as BackgroundLoop[],
    /** What a server does beside answering: each worker for what it has in memory, or one of them for the host. */
    jobs: [
      {
        name: 'write when keys were last used',
        by: 'each' as const,
        everyMs: 30_000,
        run: keys.flushLastUsed,
      },
      {
        name: 'forget old idempotency keys',
        by: 'one' as const,
        everyMs: 3_600_000,
        run: () => transferRepository.forgetKeys(IDEMPOTENCY_DAYS),
      },
      {
        name: 'forget old webhook deliveries',
        by: 'one' as const,
        everyMs: 3_600_000,
        run: deliveryRepository.forget,
      },
      { name: 'settle files', by: 'one' as const, everyMs: 60_000, run: files.settle },
      { name: 'delete objects of no file', by: 'one' as const, everyMs: 1_800_000, run: () => files.sweep() },
    ],
  };
}

/** How health asks what is called through a breaker. Only PostgreSQL cannot be done without. */
function probeOf(dependency: Dependency, databaseMode: Deps['databaseMode'], sql: Deps['sql']): Probe {
  const isDatabase = dependency.name === 'postgresql';
  const reach = async () => {
    if (dependency.state === 'open') throw new Error('nobody is let through to it');
    return dependency.ping();
  };
  return {
    name: dependency.name,
    mode: isDatabase ? databaseMode : 'connected',
    required: isDatabase,
    breaker: () => dependency.state,
    reach,
    // While all is well, through the pool that requests use: that it is full matters too.
    ping: (signal) => (isDatabase && dependency.state === 'closed' ? pingPostgres(sql, signal) : reach()),
  };
}
