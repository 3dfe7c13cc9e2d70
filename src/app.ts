import { OpenAPIHono } from '@hono/zod-openapi';
import type { Deps } from './deps.ts';
import { bodyLimit } from './envelope/body-limit.ts';
import { compression } from './envelope/compression.ts';
import { cors } from './envelope/cors.ts';
import { deadline } from './envelope/deadline.ts';
import { DeadlineWheel } from './envelope/deadline-wheel.ts';
import { createEnvelope } from './envelope/envelope.ts';
import { errors } from './envelope/errors.ts';
import type { Exchange, Middleware, ToProblem } from './envelope/exchange.ts';
import { hostCheck } from './envelope/host-check.ts';
import { type Admission, beginWork, loadShedding } from './envelope/load-shedding.ts';
import { metrics } from './envelope/metrics.ts';
import { RedStats } from './envelope/red-stats.ts';
import { requestId } from './envelope/request-id.ts';
import { securityHeaders } from './envelope/security-headers.ts';
import { closeUnread } from './envelope/unread-body.ts';
import { asyncApiDocument } from './features/events/log/asyncapi.ts';
import { EVENT_TYPES } from './features/events/log/catalogue.ts';
import { mountEvents } from './features/events/log/router.ts';
import { mountFiles } from './features/files/router.ts';
import { authentication, publicIdOf } from './features/identity/keys/authentication.ts';
import { mountAccounts } from './features/ledger/accounts/router.ts';
import { mountTransfers } from './features/ledger/transfers/router.ts';
import { mountLedger } from './features/ledger/verification/router.ts';
import { mountDocumentation } from './features/system/documentation/router.ts';
import { mountHealth } from './features/system/health/router.ts';
import { mountMetrics } from './features/system/metrics/router.ts';
import { mountPing } from './features/system/ping/router.ts';
import { mountProblems } from './features/system/problems/router.ts';
import { mountDeliveries } from './features/webhooks/deliveries/router.ts';
import { mountWebhooks } from './features/webhooks/subscriptions/router.ts';
import { notFound } from './http/not-found.ts';
import { openApiDocument } from './http/openapi-document.ts';
import { pipelineErrors, refusals } from './http/pipeline-errors.ts';
import { createToProblem } from './http/problem.ts';
import { compileRoutes } from './http/resolve-route.ts';
import { RouteTable } from './http/route.ts';
import { eventLoopDelayMs } from './instrumentation/event-loop.ts';
import { createMetrics } from './instrumentation/metrics.ts';
import { errorLog, requestLog } from './instrumentation/request-log.ts';
import { registerMetrics } from './register-metrics.ts';
import { createServices, type Services } from './services.ts';
import { AdmissionControl } from './shedding/admission.ts';
import { LoopLimit } from './shedding/loop-limit.ts';
import { VERSION } from './version.ts';

const JSON_DEPTH_MAX = 32;

/**
 * Builds every part once, mounts every route, and puts the envelope in front. Production and tests call it alike;
 * benchmarks add routes of their own.
 */
export function createApp(deps: Deps, mountMore: (routes: RouteTable) => void = () => {}) {
  const { config, logger } = deps;
  const services = createServices(deps);
  const registry = createMetrics();
  const app = new OpenAPIHono<{ Bindings: Exchange }>();
  const routes = new RouteTable(app);

  mountHealth(routes, services.health, { version: VERSION, environment: config.ENVIRONMENT }, () =>
    deps.permits.stats(),
  );
  if (config.PROMETHEUS_ENABLED) mountMetrics(routes, registry, deps.scrapeCluster);
  if (config.DOCS_ENABLED) {
    const openApi = () => openApiDocument(app);
    mountDocumentation(routes, { openApi, asyncApi: () => asyncApiDocument(VERSION) });
  }
  mountProblems(routes);
  mountPing(routes);
  mountAccounts(routes, services.accounts);
  mountTransfers(routes, services.transfers, services.accounts);
  mountLedger(routes, services.ledger);
  mountEvents(routes, services.events);
  mountFiles(routes, services.files, {
    sizeBytesMax: config.FILES_MAX_BYTES,
    timeoutMs: config.FILES_TIMEOUT * 1000,
  });
  mountWebhooks(routes, services.webhooks, EVENT_TYPES);
  mountDeliveries(routes, services.deliveries);
  mountMore(routes);

  const resolved = compileRoutes(routes.facts, config.HTTP_TIMEOUT * 1000);
  const toProblem = createToProblem(errorLog(logger));
  app.onError((error, c) => toProblem(error, c.env));
  app.notFound(notFound(resolved, toProblem));

  const stats = new RedStats(resolved.all);
  const admission = new AdmissionControl({
    permits: deps.permits,
    routes: resolved.all,
    traits: services.traits,
    loop: new LoopLimit(eventLoopDelayMs()),
    keyIdOf: publicIdOf,
    refuse: refusals(config.LOAD_SHEDDING_MAX_CONCURRENT),
    nowMs: () => performance.now(),
  });
  registerMetrics(registry, { deps, services, http: stats, admission });

  const layers = pipeline(deps, services, toProblem, stats, admission);
  const fetch = createEnvelope(layers, (request, exchange) => app.fetch(request, exchange), resolved.resolve);
  return { ...services, app, fetch, layers, routes: routes.facts, resolved, registry, admission };
}

export type App = ReturnType<typeof createApp>;

/** The layers in front of every route, outermost first. */
function pipeline(
  { config, logger }: Deps,
  { keys }: Services,
  toProblem: ToProblem,
  stats: RedStats,
  admission: Admission,
): Middleware[] {
  return [
    requestId(),
    securityHeaders(config.ENVIRONMENT === 'production'),
    // Outside the deadline and the errors, so that a 504 and a refusal are counted like any other answer.
    metrics(stats, requestLog(logger)),
    // Outside the errors, so that a page of an allowed origin can read a problem.
    cors(config.CORS_ALLOWED_ORIGINS),
    closeUnread(),
    deadline({ wheel: new DeadlineWheel(), toProblem, exceeded: pipelineErrors.deadlineExceeded }),
    errors(toProblem),
    compression(),
    hostCheck(pipelineErrors.invalidHost),
    loadShedding(admission, toProblem),
    authentication(keys),
    bodyLimit({
      jsonDepthMax: JSON_DEPTH_MAX,
      tooLarge: pipelineErrors.bodyTooLarge,
      tooDeep: pipelineErrors.bodyTooDeep,
      notUtf8: pipelineErrors.bodyNotUtf8,
      broken: pipelineErrors.bodyBroken,
      stalled: pipelineErrors.bodyStalled,
      cut: pipelineErrors.bodyCut,
    }),
    beginWork(admission),
  ];
}
