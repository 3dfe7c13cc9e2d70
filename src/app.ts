import { OpenAPIHono } from '@hono/zod-openapi';
import type { Registry } from 'prom-client';
import { startEmbeddedPostgres } from './adapters/embedded/postgres-server.ts';
import { appliedMigrations, readMigrations } from './adapters/migrations.ts';
import {
  isConnectionLoss,
  mapDatabaseError,
  openPostgres,
  pingPostgres,
  type Sql,
} from './adapters/postgres.ts';
import type { Config } from './config.ts';
import { bodyLimit } from './envelope/body-limit.ts';
import { compression } from './envelope/compression.ts';
import { cors } from './envelope/cors.ts';
import { deadline } from './envelope/deadline.ts';
import { DeadlineWheel } from './envelope/deadline-wheel.ts';
import { createEnvelope } from './envelope/envelope.ts';
import { errors } from './envelope/errors.ts';
import type { Exchange } from './envelope/exchange.ts';
import { hostCheck } from './envelope/host-check.ts';
import { loadShedding } from './envelope/load-shedding.ts';
import { metrics } from './envelope/metrics.ts';
import { RedFigures } from './envelope/red-figures.ts';
import { requestId } from './envelope/request-id.ts';
import { securityHeaders } from './envelope/security-headers.ts';
import { AtlasError } from './errors.ts';
import { createAccountRepository } from './features/accounts/repository.ts';
import { mountAccounts } from './features/accounts/router.ts';
import { createAccountService } from './features/accounts/service.ts';
import { mountDocumentation } from './features/documentation/router.ts';
import { mountHealth } from './features/health/router.ts';
import { createHealthService, type Lifecycle } from './features/health/service.ts';
import { authentication } from './features/keys/authentication.ts';
import { createKeyRepository } from './features/keys/repository.ts';
import { createKeyService } from './features/keys/service.ts';
import { createLedgerRepository } from './features/ledger/repository.ts';
import { mountLedger } from './features/ledger/router.ts';
import { createLedgerService } from './features/ledger/service.ts';
import { mountMetrics } from './features/metrics/router.ts';
import { mountPing } from './features/ping/router.ts';
import { mountProblems } from './features/problems/router.ts';
import { GroupCommit } from './features/transfers/group-commit.ts';
import { createTransferRepository } from './features/transfers/repository.ts';
import { mountTransfers } from './features/transfers/router.ts';
import { createTransferService } from './features/transfers/service.ts';
import { openApiDocument } from './http/openapi-document.ts';
import { pipelineErrors } from './http/pipeline-errors.ts';
import { createToProblem } from './http/problem.ts';
import { compileRoutes } from './http/resolve-route.ts';
import { RouteTable } from './http/route.ts';
import type { Logger } from './instrumentation/logger.ts';
import {
  createMetrics,
  registerDatabaseMetrics,
  registerHttpMetrics,
  registerLedgerMetrics,
  registerSheddingMetrics,
} from './instrumentation/metrics.ts';
import { Permits } from './shedding/permits.ts';
import { VERSION } from './version.ts';

const JSON_DEPTH_MAX = 32;
const BATCH_ITEMS_MAX = 1000;
const WAITING_ITEMS_MAX = 4096;
const IDEMPOTENCY_DAYS = 30;

/** What Atlas stands on, opened as the configuration names it. */
export interface Deps {
  readonly config: Config;
  readonly logger: Logger;
  readonly sql: Sql;
  readonly databaseMode: 'embedded' | 'connected';
  readonly databaseUrl: string;
  readonly lifecycle: Lifecycle;
  /** Ends connections, and the embedded services that nobody else uses. */
  close(): Promise<void>;
}

/** Opens what the configuration names, and starts what it leaves out. */
export async function openDeps(
  config: Config,
  logger: Logger,
  onProgress?: (text: string) => void,
): Promise<Deps> {
  const connectionsMax = config.DATABASE_POOL_SIZE + config.DATABASE_MAX_OVERFLOW;
  const embedded = config.DATABASE_URL
    ? null
    : await startEmbeddedPostgres(config.ATLAS_DATA_DIR, {
        connectionsMax,
        preferredPort: 5433,
        ...(onProgress && { onProgress }),
      });
  const databaseUrl = config.DATABASE_URL ?? embedded!.url;
  const sql = openPostgres({ url: databaseUrl, connectionsMax, timeoutSeconds: config.DATABASE_TIMEOUT });
  const close = async () => {
    await sql.end({ timeout: config.DATABASE_TIMEOUT });
    await embedded?.stop();
  };
  return {
    config,
    logger,
    sql,
    databaseUrl,
    databaseMode: embedded ? 'embedded' : 'connected',
    lifecycle: { draining: false },
    close,
  };
}

/** Builds every part once and mounts every route. The order of the pipeline is the order of `layers`, outermost first. */
export function createApp(deps: Deps) {
  const { config, logger, sql, lifecycle } = deps;
  const toProblem = createToProblem((error, { requestId: id, route }) =>
    logger.error({ requestId: id, endpoint: route.pattern, err: error }, 'request failed'),
  );
  const app = new OpenAPIHono<{ Bindings: Exchange }>();
  const routes = new RouteTable(app);
  const registry: Registry = createMetrics();

  const keys = createKeyService(createKeyRepository(sql));
  const accounts = createAccountService(createAccountRepository(sql));
  const transferRepository = createTransferRepository(sql);
  const groupCommit = new GroupCommit({
    post: transferRepository.post,
    mayHaveCommitted: isConnectionLoss,
    mapError: mapDatabaseError,
    batchItemsMax: BATCH_ITEMS_MAX,
    waitingItemsMax: WAITING_ITEMS_MAX,
  });
  const transfers = createTransferService(transferRepository, groupCommit);
  const ledger = createLedgerService(createLedgerRepository(sql));
  const postgresProbe = {
    name: 'postgresql',
    mode: deps.databaseMode,
    required: true,
    ping: (signal: AbortSignal) => pingPostgres(sql, signal),
  };
  const isMigrated = async () => (await appliedMigrations(sql)) >= (await readMigrations()).length;
  const health = createHealthService([postgresProbe], lifecycle, isMigrated);

  mountHealth(routes, health, { version: VERSION, environment: config.ENVIRONMENT });
  if (config.PROMETHEUS_ENABLED) mountMetrics(routes, registry);
  if (config.DOCS_ENABLED) mountDocumentation(routes, () => openApiDocument(app));
  mountProblems(routes);
  mountPing(routes);
  mountAccounts(routes, accounts);
  mountTransfers(routes, transfers, accounts);
  mountLedger(routes, ledger);

  const resolved = compileRoutes(routes.facts, config.HTTP_TIMEOUT * 1000);
  app.onError((error, c) => toProblem(error, c.env));
  app.notFound((c) => {
    const allowed = resolved.allowedMethods(c.req.raw);
    if (allowed.length === 0) return toProblem(new AtlasError('not_found', 'No route has this path.'), c.env);
    const headers = { Allow: allowed.join(', ') };
    return toProblem(
      new AtlasError('method_not_allowed', `This path knows ${headers.Allow}.`, { headers }),
      c.env,
    );
  });

  const figures = new RedFigures(resolved.all);
  const permits = new Permits(config.LOAD_SHEDDING_MAX_CONCURRENT, pipelineErrors.overloaded);
  const observe = logger.isLevelEnabled('debug')
    ? ({ requestId: id, route }: Exchange, status: number, durationMs: number) =>
        logger.debug(
          { requestId: id, method: route.method, endpoint: route.pattern, status, durationMs },
          'request',
        )
    : null;
  registerHttpMetrics(registry, figures);
  registerSheddingMetrics(registry, () => permits.figures());
  registerLedgerMetrics(registry, () => groupCommit.figures());
  registerDatabaseMetrics(registry, config.DATABASE_POOL_SIZE + config.DATABASE_MAX_OVERFLOW);

  const layers = [
    requestId(),
    securityHeaders(config.ENVIRONMENT === 'production'),
    metrics(figures, observe),
    cors(config.CORS_ALLOWED_ORIGINS),
    deadline({ wheel: new DeadlineWheel(), toProblem, exceeded: pipelineErrors.deadlineExceeded }),
    errors(toProblem),
    compression(),
    hostCheck(pipelineErrors.invalidHost),
    loadShedding(permits, toProblem),
    authentication(keys),
    bodyLimit({
      jsonDepthMax: JSON_DEPTH_MAX,
      tooLarge: pipelineErrors.bodyTooLarge,
      tooDeep: pipelineErrors.bodyTooDeep,
      notUtf8: pipelineErrors.bodyNotUtf8,
      broken: pipelineErrors.bodyBroken,
    }),
  ];
  const fetch = createEnvelope(layers, (request, exchange) => app.fetch(request, exchange), resolved.resolve);
  const jobs = [
    { name: 'write when keys were last used', everyMs: 30_000, run: keys.flushLastUsed },
    {
      name: 'forget old idempotency keys',
      everyMs: 3_600_000,
      run: () => transferRepository.forgetKeys(IDEMPOTENCY_DAYS),
    },
  ];
  return { app, fetch, routes: routes.facts, resolved, keys, accounts, transfers, ledger, health, jobs };
}

export type App = ReturnType<typeof createApp>;
