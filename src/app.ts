import { OpenAPIHono } from '@hono/zod-openapi';
import type { Deps } from './deps.ts';
import { bodyLimit } from './envelope/body-limit.ts';
import { clientAddress } from './envelope/client-address.ts';
import { compression } from './envelope/compression.ts';
import { CompressionBudget } from './envelope/compression-budget.ts';
import { cors, preflights } from './envelope/cors.ts';
import { deadline } from './envelope/deadline.ts';
import { DeadlineWheel } from './envelope/deadline-wheel.ts';
import { enterRoute } from './envelope/enter-route.ts';
import { composeLayers, createEntrance } from './envelope/envelope.ts';
import { errors } from './envelope/errors.ts';
import type { Exchange, FetchHandler, Middleware, ToProblem } from './envelope/exchange.ts';
import { hostCheck } from './envelope/host-check.ts';
import { type Admission, beginWork, loadShedding } from './envelope/load-shedding.ts';
import { metrics } from './envelope/metrics.ts';
import { quotas } from './envelope/quotas.ts';
import { RedStats } from './envelope/red-stats.ts';
import { requestId } from './envelope/request-id.ts';
import { securityHeaders } from './envelope/security-headers.ts';
import { closeUnread } from './envelope/unread-body.ts';
import { openApiWebhooks } from './features/events/log/openapi-webhooks.ts';
import type { Feature } from './features/feature.ts';
import {
  authentication,
  authenticationOfBody,
  callerOf,
  partyReader,
  publicIdOf,
} from './features/identity/authentication.ts';
import { createFeatures, EVENT_CATALOGUE, type Features, PROBLEM_KINDS, TAGS } from './features.ts';
import { type DocumentedHeaders, documentedHeaders } from './http/documented-headers.ts';
import { notFound } from './http/not-found.ts';
import { openApiDocument } from './http/openapi-document.ts';
import { pipelineErrors, refusals } from './http/pipeline-errors.ts';
import { createToProblem } from './http/problem.ts';
import { compileRoutes, type ResolvedRoutes, type RouteMatcher } from './http/resolve-route.ts';
import { RouteTable } from './http/route.ts';
import { registerCacheMetrics } from './instrumentation/cache-metrics.ts';
import { registerDatabaseMetrics } from './instrumentation/database-metrics.ts';
import { registerDependencyMetrics } from './instrumentation/dependency-metrics.ts';
import { LoopDelays, sameTurn } from './instrumentation/event-loop.ts';
import { registerHttpMetrics } from './instrumentation/http-metrics.ts';
import { registerLogMetrics } from './instrumentation/log-metrics.ts';
import { logDropsOf } from './instrumentation/logger.ts';
import { createMetrics } from './instrumentation/metrics.ts';
import { errorLog, requestLog } from './instrumentation/request-log.ts';
import { registerSheddingMetrics } from './instrumentation/shedding-metrics.ts';
import { AdmissionControl } from './shedding/admission.ts';
import { LoopLimit } from './shedding/loop-limit.ts';

// No schema has more than a few levels, or more than the 50 members of metadata.
const JSON_LIMITS = { depthMax: 32, membersMax: 100 };

/**
 * Builds every feature, mounts its routes, and wraps them in the envelope. Production and tests both call it;
 * benchmarks mount additional routes.
 */
export function createApp(deps: Deps, mountMore: (routes: RouteTable) => void = () => {}) {
  const { config, logger } = deps;
  const registry = createMetrics();
  const app = new OpenAPIHono<{ Bindings: Exchange }>();
  const routes = new RouteTable(app, PROBLEM_KINDS, { hidesPrivate: config.ADMIN_PORT !== undefined });
  const openApi = () => openApiDocument(app, TAGS, openApiWebhooks(EVENT_CATALOGUE));

  const features = createFeatures(deps);
  const modules: readonly Feature[] = Object.values(features);
  for (const feature of modules) feature.mount(routes, { registry, openApi });
  mountMore(routes);

  const resolved = compileRoutes(routes.facts, config.HTTP_TIMEOUT * 1000);
  const toProblem = createToProblem(PROBLEM_KINDS, errorLog(logger, deps.outages));
  app.onError((error, c) => toProblem(error, c.env));
  app.notFound((c) => notFound(resolved, toProblem)(c.req.raw, c.env));

  const stats = new RedStats(resolved.all);
  const loopDelays = new LoopDelays();
  const loop = new LoopLimit(loopDelays.takeMeanMs, sameTurn());
  const compressionBudget = new CompressionBudget(() => loop.isLate);
  const admission = new AdmissionControl({
    permits: deps.permits,
    routes: resolved.all,
    traits: Object.assign({}, ...modules.map(({ shedding }) => shedding)),
    loop,
    keyIdOf: publicIdOf,
    ownerOf: partyReader(features.identity.credentials),
    refuse: refusals(config.LOAD_SHEDDING_MAX_CONCURRENT),
    nowMs: () => performance.now(),
  });

  registerHttpMetrics(registry, stats, compressionBudget.outcomes);
  registerSheddingMetrics(
    registry,
    () => admission.stats(),
    () => deps.permits.stats(),
  );
  registerDatabaseMetrics(registry, deps.connectionsMax, deps.database);
  registerDependencyMetrics(registry, deps.dependencies);
  const caches = modules.flatMap((feature) => feature.caches ?? []);
  registerCacheMetrics(registry, deps.cache, caches);
  registerLogMetrics(registry, logDropsOf(logger));
  for (const feature of modules) feature.metrics?.(registry);

  const documented = documentedHeaders(routes.operations);
  const layers = pipeline(deps, features, toProblem, stats, admission, compressionBudget, documented);
  return {
    features,
    app,
    routes: routes.facts,
    resolved,
    layers,
    ...entrances(config, routes, resolved, layers, toProblem),
    openApi,
    registry,
    admission,
    loopDelays,
    caches,
    /** Reads what the first requests need. */
    prepare: () => Promise.all(modules.map((feature) => feature.prepare?.())),
    /** Loops that one worker of each host keeps running. */
    loops: modules.flatMap((feature) => feature.loops ?? []),
    jobs: modules.flatMap((feature) => feature.jobs ?? []),
  };
}

export type App = ReturnType<typeof createApp>;

/** The handlers of the ports, behind the same layers. */
function entrances(
  { ADMIN_PORT, TRUSTED_PROXIES }: Deps['config'],
  { handlers }: RouteTable,
  resolved: ResolvedRoutes,
  layers: readonly Middleware[],
  toProblem: ToProblem,
) {
  const addressOf = clientAddress(TRUSTED_PROXIES);
  const open = ADMIN_PORT === undefined ? resolved : resolved.only(({ isPrivate }) => !isPrivate);
  const forOperators = resolved.only(({ sheddable }) => !sheddable);
  const notFoundOf = (routes: RouteMatcher) => notFound(routes, toProblem);
  const [openNotFound, adminNotFound] = [notFoundOf(open), notFoundOf(forOperators)];
  const unmatched: FetchHandler = (request, exchange) =>
    forOperators.isUnmatched(exchange.route)
      ? adminNotFound(request, exchange)
      : openNotFound(request, exchange);
  const enter = enterRoute(handlers, unmatched, toProblem);
  const pipeline = composeLayers(layers, enter);
  return {
    enter,
    fetch: createEntrance(pipeline, open.resolve, addressOf),
    /** For the admin port: health and metrics, and nothing else. */
    fetchAdmin: createEntrance(pipeline, forOperators.resolve, addressOf),
  };
}

/** The layers in front of every route, outermost first. */
function pipeline(
  { config, logger, workers }: Deps,
  { identity }: Features,
  toProblem: ToProblem,
  stats: RedStats,
  admission: Admission,
  compressionBudget: CompressionBudget,
  documented: DocumentedHeaders,
): Middleware[] {
  return [
    requestId(),
    securityHeaders(config.ENVIRONMENT === 'production'),
    // Outside the deadline and the errors, so that a 504 and a refusal are counted like any other response.
    metrics(stats, requestLog(logger, callerOf(identity.credentials), workers)),
    // Outside the errors, so that a page of an allowed origin can read a problem.
    cors(config.CORS_ALLOWED_ORIGINS, documented.response),
    closeUnread(),
    deadline({ wheel: new DeadlineWheel(), toProblem, exceeded: pipelineErrors.deadlineExceeded }),
    errors(toProblem),
    loadShedding(admission, toProblem),
    hostCheck(pipelineErrors.invalidHost),
    preflights(config.CORS_ALLOWED_ORIGINS, { methods: documented.methods, headers: documented.request }),
    compression(compressionBudget),
    authentication(identity.credentials, identity.publicOrigin),
    quotas(toProblem),
    bodyLimit({
      admission,
      json: JSON_LIMITS,
      tooLarge: pipelineErrors.bodyTooLarge,
      encoded: pipelineErrors.bodyEncoded,
      tooDeep: pipelineErrors.bodyTooDeep,
      altered: pipelineErrors.jsonAltered(JSON_LIMITS.membersMax),
      notUtf8: pipelineErrors.bodyNotUtf8,
      broken: pipelineErrors.bodyBroken,
      stalled: pipelineErrors.bodyStalled,
      cut: pipelineErrors.bodyCut,
    }),
    authenticationOfBody(identity.credentials),
    beginWork(admission),
  ];
}
