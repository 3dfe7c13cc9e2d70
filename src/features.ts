import { hostname } from 'node:os';
import type { z } from 'zod';
import { requireCoreTables } from './adapters/postgres/core-tables.ts';
import { isMigrated } from './adapters/postgres/migrations.ts';
import type { Deps } from './deps.ts';
import { audit, createAudit } from './features/audit/feature.ts';
import { createDocuments, documents } from './features/documents/feature.ts';
import type { EventKind } from './features/event-kind.ts';
import { createEvents, events } from './features/events/feature.ts';
import { asyncApiDocument } from './features/events/log/asyncapi.ts';
import { loggedTypes } from './features/events/log/catalogue.ts';
import { mergeTables, type SettingsOf } from './features/feature.ts';
import { createFiles, files } from './features/files/feature.ts';
import { createIdentity, identity } from './features/identity/feature.ts';
import { splitScopes } from './features/identity/scope-kinds.ts';
import { createLedger, ledger } from './features/ledger/feature.ts';
import { createImports, imports } from './features/ledger/imports-feature.ts';
import { Searches } from './features/searches.ts';
import { createSystem, system } from './features/system/feature.ts';
import { createWebhooks, webhooks } from './features/webhooks/feature.ts';
import type { ProblemKind } from './http/problem-kind.ts';
import { httpProblems } from './http/problems.ts';
import { VERSION } from './version.ts';

/** Every feature, in the order of the docs. To add one, add it here and to {@link createFeatures}. */
const FEATURES = [identity, ledger, events, webhooks, files, documents, imports, audit, system] as const;
export const TAGS = FEATURES.flatMap(({ tags }): readonly string[] => tags);
export const SCOPES = mergeTables<string>(...FEATURES.map(({ scopes }) => scopes));
export const [ALL_SCOPES, OPERATOR_SCOPES, SESSION_SCOPES] = splitScopes(SCOPES);
export const PROBLEM_KINDS = mergeTables<ProblemKind>(
  httpProblems,
  ...FEATURES.map(({ problems }) => problems),
);
export const EVENT_CATALOGUE = mergeTables<EventKind>(...FEATURES.map(({ eventTypes }) => eventTypes));
export const FEATURE_SETTINGS = mergeTables<z.ZodRawShape[string]>(
  ...FEATURES.map(({ settings }): z.ZodRawShape => settings),
) as unknown as SettingsOf<typeof FEATURES>;

export type Features = ReturnType<typeof createFeatures>;

/** Builds every feature over opened dependencies, each from the ports it needs. */
export function createFeatures(deps: Deps) {
  const { config, database, incarnation, cache, lifecycle, logger, reportFailure, objects, permits } = deps;
  const types = loggedTypes(EVENT_CATALOGUE);
  const { redis, mailer, identityProvider, sealing } = deps;
  const searches = new Searches();
  const base = { database, incarnation, logger, reportFailure, sealing, searches, settings: config };
  const outside = { redis, mailer, permits, identityProvider };
  const identity = createIdentity({ ...base, ...outside, scopes: ALL_SCOPES });
  const { idempotency, keys, isCallerUsable: isKeyUsable, requireNow } = identity;
  const events = createEvents({
    ...base,
    log: deps.events,
    lifecycle,
    isKeyUsable,
    httpTimeoutSeconds: config.HTTP_TIMEOUT,
    types,
    relayHolder: `${hostname()}:${process.pid}`,
  });
  const host = { cache, workers: deps.workers, inFlightCap: config.LOAD_SHEDDING_MAX_CONCURRENT };
  const ledger = createLedger({ ...base, ...host, idempotency, isKeyUsable, onPosted: events.wakeRelay });
  const shared = { ...base, isKeyUsed: events.isKeyUsed, isKeyUsable, idempotency };
  const fromLog = { consumer: deps.events.consumer, lastExpired: events.lastExpired, types };
  const webhooks = createWebhooks({ ...shared, ...fromLog, outgoing: deps.outgoing, requireNow });
  const files = createFiles({ ...shared, objects, cache });
  const documents = createDocuments(base);
  const imports = createImports({ ...shared, files: files.service, ledger, documents });
  const audit = createAudit({ ...base, isEmbedded: deps.databaseMode === 'embedded' });
  const system = createSystem({
    ...base,
    about: { version: VERSION, environment: config.ENVIRONMENT },
    lifecycle,
    dependencies: deps.dependencies,
    databaseMode: deps.databaseMode,
    pingDatabase: (signal) => database.ping(signal),
    isMigrated: (signal) => isMigrated(database, signal),
    readAsRequests: (signal) => Promise.all([keys.check(signal), ledger.accounts.isEmpty(signal)]),
    requireCoreTables: (signal) => requireCoreTables(database, signal),
    redis,
    checkFiles: objects.check,
    permits: () => permits.stats(),
    problems: PROBLEM_KINDS,
    servesMetrics: config.PROMETHEUS_ENABLED,
    hidesPrivate: config.ADMIN_PORT !== undefined,
    scrapeCluster: deps.scrapeCluster,
    servesDocs: config.DOCS_ENABLED,
    asyncApi: () => asyncApiDocument(VERSION, EVENT_CATALOGUE),
  });
  return { system, identity, ledger, events, webhooks, files, documents, imports, audit };
}
