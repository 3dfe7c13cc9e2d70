import { isPassing } from '../../adapters/postgres/postgres.ts';
import type { Redis } from '../../adapters/redis/redis.ts';
import { pingRedis } from '../../adapters/redis/redis.ts';
import type { ProblemKinds } from '../../http/problem-kind.ts';
import type { RouteTable } from '../../http/route.ts';
import type { Logger } from '../../instrumentation/logger.ts';
import type { Dependency } from '../../resilience/dependency.ts';
import type { PermitStats } from '../../shedding/permit-source.ts';
import type { Lifecycle } from '../../utils/lifecycle.ts';
import type { AppInfo, Feature, FeatureDeclaration, SettingValues } from '../feature.ts';
import { mountDocumentation } from './documentation/router.ts';
import type { Probe } from './health/domain.ts';
import { type About, mountHealth } from './health/router.ts';
import { createHealthService, type DatabaseChecks } from './health/service.ts';
import { mountLanding } from './landing/router.ts';
import { mountMetrics } from './metrics/router.ts';
import { mountPing } from './ping/router.ts';
import { mountProblems } from './problems/router.ts';
import { mountSecurityContact } from './security-contact/router.ts';
import { securityContactSettings } from './security-contact/settings.ts';

/** Health, metrics, and documentation of Atlas itself. */
export const system = {
  tags: ['Health', 'Documentation', 'Problems'],
  scopes: { 'ping:read': 'Call GET /v1/ping.' },
  problems: {},
  eventTypes: {},
  settings: securityContactSettings,
} as const satisfies FeatureDeclaration;

/** Dependencies of the system feature. */
export interface SystemPorts {
  readonly about: About;
  readonly lifecycle: Lifecycle;
  readonly dependencies: readonly Dependency[];
  readonly databaseMode: Probe['mode'];
  pingDatabase(signal?: AbortSignal): Promise<number>;
  isMigrated(signal: AbortSignal): Promise<boolean>;
  /** Reads what every request with a key reads. Throws what a request would throw. */
  readAsRequests(signal: AbortSignal): Promise<unknown>;
  requireCoreTables(signal: AbortSignal): Promise<void>;
  readonly logger: Logger;
  readonly redis: Redis | null;
  /** Throws if the content of files cannot be stored on this host. Null if a dependency stores it. */
  readonly checkFiles: (() => Promise<void>) | null;
  permits(): PermitStats;
  readonly problems: ProblemKinds;
  readonly servesMetrics: boolean;
  /** Whether routes for operators are served on the admin port only. */
  readonly hidesPrivate: boolean;
  readonly scrapeCluster: (() => Promise<string>) | null;
  readonly servesDocs: boolean;
  readonly asyncApi: () => object;
  readonly settings: SettingValues<typeof securityContactSettings>;
}

export function createSystem(ports: SystemPorts) {
  const { about, permits, problems, scrapeCluster, asyncApi } = ports;
  const health = createHealthService(probesOf(ports), ports.lifecycle, {
    isMigrated: ports.isMigrated,
    isReadable: readableCheck(ports),
    requireCoreTables: ports.requireCoreTables,
    onUnusable: (err) => ports.logger.warn({ err }, 'not ready: the database is not set up'),
  });
  let documentation: { prepare(): Promise<unknown> } | undefined;
  return {
    prepare: async () => documentation?.prepare(),
    mount(routes: RouteTable, { registry, openApi }: AppInfo) {
      mountSecurityContact(routes, ports.settings.SECURITY_CONTACT ?? null);
      mountLanding(routes, {
        version: about.version,
        servesDocs: ports.servesDocs,
        servesMetrics: ports.servesMetrics,
        hidesPrivate: ports.hidesPrivate,
      });
      mountHealth(routes, health, about, permits);
      if (ports.servesMetrics) mountMetrics(routes, registry, scrapeCluster);
      if (ports.servesDocs) documentation = mountDocumentation(routes, { openApi, asyncApi });
      mountProblems(routes, problems);
      mountPing(routes);
    },
  } satisfies Feature;
}

const FILES = { name: 'files', mode: 'embedded', required: false, failure: 'cannot be written' } as const;

/** Logs the cause once each time the database becomes unreadable, because the response may be public. */
function readableCheck({
  readAsRequests,
  logger,
}: Pick<SystemPorts, 'readAsRequests' | 'logger'>): DatabaseChecks['isReadable'] {
  let wasReadable = true;
  return async (signal) => {
    try {
      await readAsRequests(signal);
      wasReadable = true;
    } catch (err) {
      if (isPassing(err)) throw err;
      if (wasReadable) logger.error({ err }, 'requests cannot read the database; this process is not ready');
      wasReadable = false;
    }
    return wasReadable;
  };
}

function probesOf({ dependencies, redis, checkFiles, ...ports }: SystemPorts): Probe[] {
  const probes = dependencies.map((dependency) => probeOf(dependency, ports));
  // Not required: without Redis each worker uses its fixed share of the cap, and requests are still served.
  if (redis !== null)
    probes.push({ name: 'redis', mode: 'connected', required: false, ping: () => pingRedis(redis) });
  // Not required: everything but files still works.
  if (checkFiles !== null) probes.push({ ...FILES, ping: () => timed(checkFiles) });
  return probes;
}

async function timed(check: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await check();
  return performance.now() - startMs;
}

/** Creates the health probe of a dependency behind a circuit breaker. Only PostgreSQL is required. */
function probeOf(
  dependency: Dependency,
  { databaseMode, pingDatabase }: Pick<SystemPorts, 'databaseMode' | 'pingDatabase'>,
): Probe {
  const isDatabase = dependency.name === 'postgresql';
  const reach = async () => {
    if (dependency.state === 'open') throw new Error('the circuit breaker is open');
    return dependency.ping();
  };
  return {
    name: dependency.name,
    mode: isDatabase ? databaseMode : 'connected',
    required: isDatabase,
    breaker: () => dependency.state,
    reach,
    // With a closed breaker, pings through the pool that requests use, so that a full pool shows too.
    ping: (signal) => (isDatabase && dependency.state === 'closed' ? pingDatabase(signal) : reach()),
  };
}
