import type { Cache } from '../../adapters/cache/cache.ts';
import { CacheAside } from '../../adapters/cache/cache-aside.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import { Isolation, REFRESH_MS } from '../../adapters/postgres/isolation.ts';
import { idOf, ownedId } from '../../adapters/postgres/owned-ids.ts';
import { isTransient } from '../../adapters/postgres/postgres.ts';
import type { ResourceTraits } from '../../shedding/resource-traits.ts';
import type { Feature, FeatureDeclaration, Job, SettingValues } from '../feature.ts';
import type { Idempotency } from '../idempotency.ts';
import type { Searches } from '../searches.ts';
import { createAccountRepository } from './accounts/repository.ts';
import { createBook, mountBook } from './book-feature.ts';
import { createBulkAccounts } from './bulk-accounts/repository.ts';
import { createDemoAccounts } from './demo-accounts.ts';
import { ledgerEventTypes } from './event-types.ts';
import { createGraphRepository } from './graph/repository.ts';
import { mountGraph } from './graph/router.ts';
import { createGraphService } from './graph/service.ts';
import { createHistory } from './history-feature.ts';
import { HoldOutcomes } from './holds/hold-metrics.ts';
import { createHolds } from './holds-feature.ts';
import { type BulkPostingPorts, createBulkPosting } from './import-runs/bulk-posting.ts';
import { createLimits } from './limits-feature.ts';
import type { PostRequest, PostResult, Transfer } from './movement.ts';
import { ledgerProblems } from './problems.ts';
import { createReversalRepository } from './reversals/repository.ts';
import { mountReversals } from './reversals/router.ts';
import { createReversalService } from './reversals/service.ts';
import { createSearch } from './search-feature.ts';
import { createSets } from './sets/create-sets.ts';
import { createExchangeRepository } from './sets/repository.ts';
import { ledgerSettings } from './settings.ts';
import { createSubmit } from './submit.ts';
import { isTransfer } from './transfer-schema.ts';
import { createEffectiveTimes } from './transfers/effective-times.ts';
import { GroupCommit } from './transfers/group-commit.ts';
import { HostCommitter } from './transfers/host-committer.ts';
import { registerLedgerMetrics } from './transfers/ledger-metrics.ts';
import { createTransferRepository, type TransferRepository } from './transfers/repository.ts';
import { mountTransfers } from './transfers/router.ts';
import { createTransferService, type TransferReads } from './transfers/service.ts';
import { createTransferIds } from './transfers/transfer-ids.ts';
import { createBackgroundVerification } from './verification/background.ts';
import { createBackgroundRepository, createLedgerRepository } from './verification/repository.ts';
import { createLedgerService } from './verification/service.ts';
import { createVerification } from './verification/verification.ts';

// Larger batches save nothing more. With 512 callers, half get their responses while the other half is in PostgreSQL.
const BATCH_ITEMS_MAX = 256;
const WAITING_ITEMS_MAX = 4096;
// A queue at the ledger makes batches larger, so it pays off while a payment stays within its 100 ms.
const BUDGET_MS = 80;
// A few small batches, so that there is always one on its way while others are gathering.
const IN_FLIGHT_MIN = 96;
const IDEMPOTENCY_DAYS = 30;

/** Accounts, transfers, the graph of who paid whom, and the verification that all is consistent. */
export const ledger = {
  tags: ['Accounts', 'Transfers', 'Holds', 'Sets', 'Limits', 'History', 'Graph', 'Ledger'],
  scopes: {
    'accounts:read': 'Read accounts and limits.',
    'accounts:write': 'Open, change, and close accounts, manage templates of them, and limit what they pay.',
    'transfers:read': 'Read transfers, holds, and exchanges.',
    'transfers:write': 'Post transfers and exchanges, hold money, and reverse transfers that were received.',
    'transfers:force': 'Reverse transfers even if what is available does not cover them.',
    'ledger:admin': 'Verify the ledger.',
  },
  problems: ledgerProblems,
  eventTypes: ledgerEventTypes,
  settings: ledgerSettings,
} as const satisfies FeatureDeclaration;

/** Dependencies of the ledger. */
export interface LedgerPorts {
  readonly database: Database;
  readonly searches: Searches;
  readonly cache: Cache;
  readonly idempotency: Idempotency;
  readonly settings: SettingValues<typeof ledgerSettings>;
  isKeyUsable(keyId: string, signal: AbortSignal): Promise<boolean>;
  /** Called after each posted batch, so that its events are sent without delay. */
  onPosted(): void;
  /** Workers of this host. */
  readonly workers: number;
  /** Maximum requests in flight in the whole cluster. */
  readonly inFlightCap: number;
}

export function createLedger(ports: LedgerPorts) {
  const { database, searches, cache, onPosted, workers, inFlightCap } = ports;
  const accountRepository = createAccountRepository(database);
  const book = createBook(database, accountRepository, ports.idempotency, searches);
  const { accounts } = book;
  const repository = createTransferRepository(database);
  const limits = createLimits(database, ports.idempotency);
  const holdOutcomes = new HoldOutcomes();
  const posting = createPosting(repository, (requests, results) => {
    onPosted();
    holdOutcomes.count(requests, results);
    limits.refusals.count(results);
  });
  const { groupCommit, committer, ids, submit } = posting;
  const isolation = new Isolation(database);
  const transferCache = openTransferCache(cache);
  const find = findThrough(transferCache, isolation, repository);
  const { isKeyUsed, listByAccount } = repository;
  const transfers = createTransferService(
    { find, listByAccount },
    submit,
    createEffectiveTimes({ daysMax: ports.settings.LEDGER_BACKDATE_DAYS, isKeyUsed }),
  );
  const holds = createHolds(database, { submit, accounts, outcomes: holdOutcomes, onExpired: onPosted });
  const reversals = createReversalService(createReversalRepository(database), submit);
  const sets = createSets(createExchangeRepository(database), submit, accounts);
  const verification = createVerification(
    createLedgerService(createLedgerRepository(database)),
    createBackgroundVerification(createBackgroundRepository(database)),
    (signal) => isolation.isOn(signal),
  );
  const graph = createGraphService(createGraphRepository(database), accounts, searches);
  const search = createSearch(database, accountRepository, repository, searches);
  const history = createHistory(database, accounts, ports.isKeyUsable);
  const parts: readonly Feature[] = [holds, sets, search, history, limits, verification];
  return {
    ...book,
    bulk: createBulk(database, { ...repository, ids, submit: (request) => committer.submit(request) }),
    transfers,
    search: search.service,
    indexing: search.indexing,
    holds: holds.service,
    reversals,
    sets,
    history: history.service,
    limits: limits.service,
    verification: verification.service,
    background: verification.background,
    groupCommit,
    committer,
    prepare: () => Promise.all([ids.ready(), isolation.isOn()]),
    seed: () => createDemoAccounts(book, transfers, holds.service, sets).then(limits.seed),
    mount(routes, app) {
      mountBook(routes, book, search.service);
      mountTransfers(routes, transfers, accounts);
      mountGraph(routes, graph);
      mountReversals(routes, reversals);
      for (const part of parts) part.mount(routes, app);
    },
    metrics(registry) {
      registerLedgerMetrics(registry, () => ({ ...groupCommit.stats(), ...committer.stats() }));
      for (const part of parts) part.metrics?.(registry);
    },
    loops: parts.flatMap(({ loops = [] }) => loops),
    caches: [transferCache],
    jobs: [
      refreshOf(isolation),
      ...parts.flatMap(({ jobs = [] }) => jobs),
      {
        name: 'delete expired idempotency keys',
        by: 'one',
        everyMs: 3_600_000,
        run: () => repository.forgetKeys(IDEMPOTENCY_DAYS),
      },
    ],
    shedding: { ledger: traitsOf(groupCommit, workers, inFlightCap) },
  } satisfies Feature & Record<string, unknown>;
}

/** Creates the way by which everything that moves money is posted: in batches, one at a time per host. */
function createPosting(
  repository: TransferRepository,
  onPosted: (requests: readonly PostRequest[], results: readonly PostResult[]) => void,
) {
  const groupCommit = new GroupCommit({
    post: async (requests) => {
      const results = await repository.post(requests);
      onPosted(requests, results);
      return results;
    },
    waitedMs: repository.waitedMs,
    isTransient,
    batchItemsMax: BATCH_ITEMS_MAX,
    waitingItemsMax: WAITING_ITEMS_MAX,
  });
  const committer = new HostCommitter(groupCommit);
  const ids = createTransferIds(repository.readSecret);
  const submit = createSubmit({
    isKeyUsed: repository.isKeyUsed,
    submit: (request, caller) => committer.submit(request, caller),
    ids,
  });
  return { groupCommit, committer, ids, submit };
}

function refreshOf(isolation: Isolation): Job {
  const run = () => isolation.refresh();
  return { name: 'read whether organizations are isolated', by: 'each', everyMs: REFRESH_MS, run };
}

/** What imports write with. */
function createBulk(database: Database, posting: BulkPostingPorts) {
  return { accounts: createBulkAccounts(database), posting: createBulkPosting(posting) };
}

/**
 * Creates the cache of transfers, which are immutable and never need to be read twice. Each owner has its own entries
 * while organizations are isolated, since each sees something else.
 */
function openTransferCache(cache: Cache): CacheAside<Transfer> {
  return new CacheAside<Transfer>({
    cache,
    name: 'transfer.v4',
    ttlMs: 300_000,
    staleMs: 600_000,
    // An ID that is unused now may be posted in a moment.
    negativeTtlMs: 0,
    changes: false,
    fits: (value, owned): value is Transfer => isTransfer(value, idOf(owned)),
  });
}

/** Returns the read of one transfer through the cache, while it is known who may see what is in it. */
function findThrough(
  transferCache: CacheAside<Transfer>,
  isolation: Isolation,
  repository: TransferRepository,
): TransferReads['find'] {
  return (owner, id, caller) => {
    const view = isolation.viewOf(owner);
    if (view === null) return repository.find(owner, id, caller?.signal);
    return transferCache.find(ownedId(view, id), (loading) => repository.find(owner, id, loading), caller);
  };
}

function traitsOf(groupCommit: GroupCommit, workers: number, inFlightCap: number): ResourceTraits {
  return {
    budgetMs: BUDGET_MS,
    inFlightMin: Math.min(IN_FLIGHT_MIN, inFlightCap / 2) / workers,
    burstMin: Math.min(2 * BATCH_ITEMS_MAX, inFlightCap / 2) / workers,
    leastMs: () => groupCommit.leastMs,
  };
}
