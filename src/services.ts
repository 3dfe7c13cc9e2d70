import { appliedMigrations, readMigrations } from './adapters/migrations.ts';
import { inTime, isTransient, mapDatabaseError, pingPostgres } from './adapters/postgres.ts';
import { pingRedis } from './adapters/redis.ts';
import type { Deps } from './deps.ts';
import { createAccountRepository } from './features/accounts/repository.ts';
import { createAccountService } from './features/accounts/service.ts';
import { createHealthService } from './features/health/service.ts';
import { createKeyRepository } from './features/keys/repository.ts';
import { createKeyService } from './features/keys/service.ts';
import { createLedgerRepository } from './features/ledger/repository.ts';
import { createLedgerService } from './features/ledger/service.ts';
import { GroupCommit } from './features/transfers/group-commit.ts';
import { createTransferRepository } from './features/transfers/repository.ts';
import { createTransferService } from './features/transfers/service.ts';
import type { BackgroundLoop } from './resilience/background-loops.ts';

// Larger batches save nothing more. Of 512 callers, one half is answered while the other half is in PostgreSQL.
const BATCH_ITEMS_MAX = 256;
const WAITING_ITEMS_MAX = 4096;
// A queue at the ledger makes its batches larger, so it is worth having while a payment stays within its 100 ms.
const LEDGER_QUEUE_MS = 80;
const IDEMPOTENCY_DAYS = 30;
// The server ends a statement at DATABASE_TIMEOUT; when it says nothing for longer, the connection is lost.
const SILENCE_MS = 1000;

export type Services = ReturnType<typeof createServices>;

/** Builds the services of every feature over opened dependencies: what the routes and the commands call. */
export function createServices({ config, sql, redis, databaseMode, workers, lifecycle }: Deps) {
  const transferRepository = createTransferRepository(sql);
  const groupCommit = new GroupCommit({
    post: (requests) =>
      inTime(transferRepository.post(requests), config.DATABASE_TIMEOUT * 1000 + SILENCE_MS),
    waitedMs: transferRepository.waitedMs,
    isTransient,
    mapError: mapDatabaseError,
    batchItemsMax: BATCH_ITEMS_MAX,
    waitingItemsMax: WAITING_ITEMS_MAX,
  });
  const keys = createKeyService(createKeyRepository(sql));
  const postgresProbe = {
    name: 'postgresql',
    mode: databaseMode,
    required: true,
    ping: (signal: AbortSignal) => pingPostgres(sql, signal),
  };
  const redisProbe = redis && {
    name: 'redis',
    mode: 'connected' as const,
    // Without it the workers keep to their parts of the cap, and everything is served.
    required: false,
    ping: () => pingRedis(redis),
  };
  const isMigrated = async () => (await appliedMigrations(sql)) >= (await readMigrations()).length;

  return {
    keys,
    accounts: createAccountService(createAccountRepository(sql)),
    transfers: createTransferService(transferRepository, groupCommit),
    ledger: createLedgerService(createLedgerRepository(sql)),
    health: createHealthService(
      redisProbe ? [postgresProbe, redisProbe] : [postgresProbe],
      lifecycle,
      isMigrated,
    ),
    groupCommit,
    /** What load shedding should know of the resources that these services use. */
    traits: {
      ledger: {
        queueMs: LEDGER_QUEUE_MS,
        inFlightMin: Math.min(2 * BATCH_ITEMS_MAX, config.LOAD_SHEDDING_MAX_CONCURRENT / 2) / workers,
      },
    },
    /** What one worker of each host does all the time. */
    loops: [] as BackgroundLoop[],
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
    ],
  };
}
