import type { Mailer } from '../../adapters/mail/mailer.ts';
import type { IdentityProvider } from '../../adapters/oidc/identity-provider.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import type { Incarnation } from '../../adapters/postgres/incarnation.ts';
import type { Redis } from '../../adapters/redis/redis.ts';
import { RedisScript } from '../../adapters/redis/redis-script.ts';
import type { RouteTable } from '../../http/route.ts';
import type { ReportFailure } from '../../instrumentation/background-log.ts';
import type { Logger } from '../../instrumentation/logger.ts';
import type { PermitSource } from '../../shedding/permit-source.ts';
import type { Sealing } from '../../utils/sealing.ts';
import type { Feature, FeatureDeclaration, SettingValues } from '../feature.ts';
import { createCredentials } from './credentials.ts';
import { responseContext } from './idempotency/domain.ts';
import { createIdempotencyRepository } from './idempotency/repository.ts';
import { createIdempotency } from './idempotency/service.ts';
import { registerIdentityMetrics } from './identity-metrics.ts';
import { createManagedKeys } from './keys/managed-keys.ts';
import { createKeyRepository } from './keys/repository.ts';
import { mountKeys } from './keys/router.ts';
import { createKeyService } from './keys/service.ts';
import { mailContext } from './mail/domain.ts';
import { createMails } from './mails-feature.ts';
import { createDemoMembers } from './members/demo/repository.ts';
import { createOrganizations } from './organizations-feature.ts';
import { createPeople } from './people-feature.ts';
import { peopleProblems } from './people-problems.ts';
import { identityProblems } from './problems.ts';
import { providerProblems } from './provider-sign-in/problems.ts';
import { publicOriginOf, type ReachSettings } from './public-origin.ts';
import { Meters } from './quotas/meters.ts';
import { createQuotaOverrideService } from './quotas/override-service.ts';
import { registerQuotaMetrics } from './quotas/quota-metrics.ts';
import { QUOTA_ACCOUNT_SCRIPT } from './quotas/quota-script.ts';
import { createQuotaRepository } from './quotas/repository.ts';
import { mountQuotas } from './quotas/router.ts';
import { createQuotaService } from './quotas/service.ts';
import { scopesOfRoles } from './roles.ts';
import { identityScopes } from './scopes.ts';
import { sealedColumn } from './sealing/repository.ts';
import { SECOND_FACTORS } from './second-factor/domain.ts';
import { secondFactorProblems } from './second-factor/problems.ts';
import { createSessionRepository } from './sessions/repository.ts';
import { createSessionService } from './sessions/service.ts';
import { defaultQuotas, identitySettings } from './settings.ts';
import { createStandingRepository } from './standing/repository.ts';
import { createStanding } from './standing/service.ts';

/**
 * API keys, the organizations that they belong to, and the quotas of both. The problems of credentials belong to the
 * pipeline.
 */
export const identity = {
  tags: ['Users', 'Sessions', 'API keys', 'Organizations', 'Operators'],
  scopes: identityScopes,
  problems: { ...identityProblems, ...peopleProblems, ...secondFactorProblems, ...providerProblems },
  eventTypes: {},
  settings: identitySettings,
} as const satisfies FeatureDeclaration;

const RESPONSES = {
  name: 'idempotent responses',
  table: 'idempotent_responses',
  column: 'response',
  contextOf: responseContext,
};
const MAILS = { name: 'mails', table: 'mails', column: 'content', contextOf: mailContext };

/** Dependencies of identity. */
export interface IdentityPorts {
  readonly database: Database;
  /** Null without Redis: each worker then has its share of the quotas. */
  readonly redis: Redis | null;
  /** Holds the mails in flight. */
  readonly incarnation: Incarnation;
  readonly mailer: Mailer;
  readonly logger: Logger;
  readonly reportFailure: ReportFailure;
  /** Knows how many workers there are. */
  readonly permits: Pick<PermitSource, 'stats'>;
  readonly sealing: Sealing;
  /** Null if no OpenID Connect provider is configured. */
  readonly identityProvider: IdentityProvider | null;
  /** Every scope that the key of an organization can have. */
  readonly scopes: readonly string[];
  readonly settings: SettingValues<typeof identitySettings> &
    ReachSettings & { readonly REDIS_PREFIX: string };
}

export function createIdentity(ports: IdentityPorts) {
  const { database, redis, permits, sealing, identityProvider, scopes, settings } = ports;
  const script = { script: QUOTA_ACCOUNT_SCRIPT, prefix: settings.REDIS_PREFIX, what: 'quotas' };
  const meters = new Meters({
    store: redis && new RedisScript({ redis, ...script }),
    workers: () => permits.stats().recentWorkers,
  });
  const defaults = defaultQuotas(settings);
  const quotas = createQuotaService(meters, defaults);
  const responses = createIdempotencyRepository(database);
  const idempotency = createIdempotency(responses, sealing);
  const overrides = createQuotaOverrideService(createQuotaRepository(database), defaults, idempotency);
  const repository = createKeyRepository(database);
  const mails = createMails(ports);
  const roles = scopesOfRoles(scopes);
  const standing = createStanding(createStandingRepository(), roles);
  const publicOrigin = publicOriginOf(settings);
  const { enqueue: enqueueMail } = mails;
  const tenants = createOrganizations({
    ...{ database, standing, scopesOfRoles: roles, idempotency, enqueueMail, publicOrigin },
    isOpen: settings.SIGN_UP === 'open',
  });
  const { withdrawInvitations } = tenants;
  const keys = createKeyService(repository, quotas.ofCaller, { standing, withdrawInvitations });
  const managed = createManagedKeys(repository, idempotency, standing, withdrawInvitations);
  const limits = { idleHours: settings.SESSION_IDLE_HOURS, daysMax: settings.SESSION_MAX_DAYS };
  const sessionRows = createSessionRepository(database, limits);
  const sessions = createSessionService({ repository: sessionRows, roles, quotaOf: quotas.ofCaller });
  const credentials = createCredentials({ ...keys.stores, session: sessions.store });
  const people = createPeople({
    ...{ database, sealing, identityProvider, sessions, enqueueMail, credentials, settings, publicOrigin },
    ...{ ...tenants.services, standing, withdrawInvitations },
  });
  return {
    ...tenants.services,
    ...people.commands,
    keys,
    idempotency,
    enqueueMail,
    sessions,
    /** Throws unless an actor may do what a scope names now, in a transaction that has locked nothing yet. */
    requireNow: standing.requireNow,
    /** Where people find this Atlas; null if it is unknown. */
    publicOrigin,
    credentials,
    /** Whether a key or session may still be used. For long-lived streams. */
    isCallerUsable: async (id: string, signal: AbortSignal) =>
      (await keys.isUsable(id, signal)) || (await sessions.isUsable(id, signal)),
    async seed() {
      await tenants.services.organizations.createDemo();
      await keys.createDemo();
      await people.seed();
      await createDemoMembers(database);
    },
    mount(routes: RouteTable) {
      tenants.mount(routes);
      mountKeys(routes, managed, scopes as [string, ...string[]]);
      mountQuotas(routes, overrides);
      people.mount(routes);
    },
    metrics(registry) {
      registerQuotaMetrics(registry, quotas.refusals, () => meters.stats());
      registerIdentityMetrics(registry, { api_key: managed.stats, ...tenants.stats }, idempotency.stats);
      mails.metrics(registry);
      people.metrics(registry);
    },
    loops: [mails.sender],
    jobs: [
      ...people.jobs,
      { name: 'save when keys were last used', by: 'each', everyMs: 30_000, run: keys.flushLastUsed },
      { name: 'delete keys that ended long ago', by: 'one', everyMs: 3_600_000, run: keys.forgetEnded },
      { name: 'delete expired invitations', by: 'one', everyMs: 3_600_000, run: tenants.forgetExpired },
      { name: 'delete old idempotent responses', by: 'one', everyMs: 60_000, run: responses.forget },
      { name: 'delete mails that ended long ago', by: 'one', everyMs: 3_600_000, run: mails.forget },
    ],
    secrets: [
      sealedColumn(database, sealing, RESPONSES),
      sealedColumn(database, sealing, MAILS),
      sealedColumn(database, sealing, SECOND_FACTORS),
    ],
  } satisfies Feature & Record<string, unknown>;
}
