import type { Registry } from 'prom-client';
import type { Mailer } from '../../adapters/mail/mailer.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import type { Incarnation } from '../../adapters/postgres/incarnation.ts';
import type { Redis } from '../../adapters/redis/redis.ts';
import { RedisScript } from '../../adapters/redis/redis-script.ts';
import type { RouteTable } from '../../http/route.ts';
import type { ReportFailure } from '../../instrumentation/background-log.ts';
import type { Logger } from '../../instrumentation/logger.ts';
import type { PermitSource } from '../../shedding/permit-source.ts';
import type { Sealing } from '../../utils/sealing.ts';
import type { Feature, FeatureDeclaration, Job, SettingValues } from '../feature.ts';
import { sessionReader } from './authentication.ts';
import { type Credentials, createCredentials } from './credentials.ts';
import { responseContext } from './idempotency/domain.ts';
import { createIdempotencyRepository } from './idempotency/repository.ts';
import { createIdempotency } from './idempotency/service.ts';
import { registerIdentityMetrics } from './identity-metrics.ts';
import { createManagedKeys } from './keys/managed-keys.ts';
import { createKeyRepository } from './keys/repository.ts';
import { mountKeys } from './keys/router.ts';
import { createKeyService } from './keys/service.ts';
import { type MailContent, mailContext } from './mail/domain.ts';
import { registerMailMetrics } from './mail/mail-metrics.ts';
import { mailReports } from './mail/mail-reports.ts';
import { MailSender } from './mail/mail-sender.ts';
import { createMailRepository } from './mail/repository.ts';
import type { EnqueueMail } from './mail/service.ts';
import { createEnqueueMail } from './mail/service.ts';
import { mountMailPages } from './mail-pages/router.ts';
import { acceptInvitation, endMemberships } from './memberships/repository.ts';
import { createOrganizationRepository } from './organizations/repository.ts';
import { mountOrganizations } from './organizations/router.ts';
import { createOrganizationService } from './organizations/service.ts';
import { PasswordHasher } from './password-hasher.ts';
import { registerPeopleMetrics } from './people-metrics.ts';
import { peopleProblems } from './people-problems.ts';
import { identityProblems } from './problems.ts';
import {
  isForDevelopers,
  type OriginSettings,
  publicOriginOf,
  requirePrivateOrigin,
} from './public-origin.ts';
import { Meters } from './quotas/meters.ts';
import { createQuotaOverrideService } from './quotas/override-service.ts';
import { registerQuotaMetrics } from './quotas/quota-metrics.ts';
import { QUOTA_ACCOUNT_SCRIPT } from './quotas/quota-script.ts';
import { createQuotaRepository } from './quotas/repository.ts';
import { mountQuotas } from './quotas/router.ts';
import { createQuotaService } from './quotas/service.ts';
import { scopesOfRoles } from './roles.ts';
import { sealedColumn } from './sealing/repository.ts';
import { createSessionRepository } from './sessions/repository.ts';
import { mountSessions } from './sessions/router.ts';
import type { SessionService } from './sessions/service.ts';
import { createSessionService } from './sessions/service.ts';
import { defaultQuotas, identitySettings } from './settings.ts';
import { createAttemptRepository } from './throttle/repository.ts';
import { createThrottle } from './throttle/service.ts';
import { createDemoPerson } from './users/demo-person.ts';
import { mountOwnUser } from './users/own-router.ts';
import { createOwnUser } from './users/own-user.ts';
import { createPasswordReset } from './users/password-reset.ts';
import { createPersonMails } from './users/person-mails.ts';
import { createUserRepository } from './users/repository.ts';
import { mountUsers } from './users/router.ts';
import { createSignIn } from './users/sign-in.ts';
import { mountSignIn } from './users/sign-in-router.ts';
import { createSignUp } from './users/sign-up.ts';

/**
 * API keys, the organizations that they belong to, and the quotas of both. The problems of credentials belong to the
 * pipeline.
 */
export const identity = {
  tags: ['Users', 'Sessions', 'API keys', 'Operators'],
  scopes: {
    'keys:read': 'Read the API keys of the organization, without their secrets.',
    'keys:write':
      'Create, rotate, and revoke API keys of the organization, with scopes that the key itself has.',
    'me:read': 'Read your own user and sessions; every session has it, and no key.',
    'me:write': 'Change your own user and sessions; every session has it, and no key.',
    'operator:read': 'Read organizations and quotas; keys of operators only.',
    'operator:write': 'Create and suspend organizations, and set quotas; keys of operators only.',
  },
  problems: { ...identityProblems, ...peopleProblems },
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
  /** Every scope that the key of an organization can have. */
  readonly scopes: readonly string[];
  readonly settings: SettingValues<typeof identitySettings> &
    OriginSettings & { readonly REDIS_PREFIX: string };
}

export function createIdentity(ports: IdentityPorts) {
  const { database, redis, permits, sealing, scopes, settings } = ports;
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
  const organizations = createOrganizationService(createOrganizationRepository(database), idempotency);
  const repository = createKeyRepository(database);
  const keys = createKeyService(repository, quotas.ofCaller);
  const mails = createMails(ports);
  const managed = createManagedKeys(repository, idempotency);
  const limits = { idleHours: settings.SESSION_IDLE_HOURS, daysMax: settings.SESSION_MAX_DAYS };
  const sessions = createSessionService({
    repository: createSessionRepository(database, limits),
    roles: scopesOfRoles(scopes),
    quotaOf: quotas.ofCaller,
  });
  const credentials = createCredentials({ ...keys.stores, session: sessions.store });
  const people = createPeople({
    database,
    sessions,
    enqueueMail: mails.enqueue,
    credentials,
    settings,
  });
  return {
    keys,
    organizations,
    idempotency,
    enqueueMail: mails.enqueue,
    sessions,
    /** Where people find this Atlas; null if it is unknown. */
    publicOrigin: people.publicOrigin,
    credentials,
    /** Whether a key or session may still be used. For long-lived streams. */
    isCallerUsable: async (id: string, signal: AbortSignal) =>
      (await keys.isUsable(id, signal)) || (await sessions.isUsable(id, signal)),
    async seed() {
      await organizations.createDemo();
      await keys.createDemo();
      await people.seed();
    },
    mount(routes: RouteTable) {
      mountOrganizations(routes, organizations);
      mountKeys(routes, managed, scopes as [string, ...string[]]);
      mountQuotas(routes, overrides);
      people.mount(routes);
    },
    metrics(registry) {
      registerQuotaMetrics(registry, quotas.refusals, () => meters.stats());
      registerIdentityMetrics(registry, managed.stats, idempotency.stats);
      mails.metrics(registry);
      people.metrics(registry);
    },
    loops: [mails.sender],
    jobs: [
      ...people.jobs,
      { name: 'save when keys were last used', by: 'each', everyMs: 30_000, run: keys.flushLastUsed },
      { name: 'delete keys that ended long ago', by: 'one', everyMs: 3_600_000, run: keys.forgetEnded },
      { name: 'delete old idempotent responses', by: 'one', everyMs: 600_000, run: responses.forget },
      { name: 'delete mails that ended long ago', by: 'one', everyMs: 3_600_000, run: mails.forget },
    ],
    secrets: [sealedColumn(database, sealing, RESPONSES), sealedColumn(database, sealing, MAILS)],
  } satisfies Feature & Record<string, unknown>;
}

/** Builds the outbox of mails, and what sends them. */
function createMails({ database, incarnation, mailer, sealing, logger, reportFailure }: IdentityPorts) {
  const repository = createMailRepository(database, incarnation);
  const refusals = { recipient: 0, organization: 0, pending: 0 };
  const sender = new MailSender({
    repository,
    mailer,
    open: (id, record) => JSON.parse(sealing.open(record, mailContext(id)).toString()) as MailContent,
    reports: mailReports(logger, reportFailure),
  });
  return {
    enqueue: createEnqueueMail(repository, sealing, refusals),
    sender,
    forget: repository.forget,
    metrics: (registry: Registry) => registerMailMetrics(registry, () => sender.stats(), refusals),
  };
}

/** Dependencies of people. */
interface PeoplePorts extends Pick<IdentityPorts, 'database' | 'settings'> {
  readonly sessions: SessionService;
  readonly enqueueMail: EnqueueMail;
  readonly credentials: Pick<Credentials, 'verify'>;
}

/** Users, their passwords, and their sessions. */
function createPeople({ database, sessions, enqueueMail, credentials, settings }: PeoplePorts) {
  const publicOrigin = publicOriginOf(settings);
  const allowsDemo = isForDevelopers(settings);
  const users = createUserRepository(database);
  const hasher = new PasswordHasher();
  const throttle = createThrottle(createAttemptRepository(database));
  const mails = createPersonMails(enqueueMail, users, publicOrigin ?? '');
  const base = { users, hasher, throttle, mails, sessions };
  const signUp = createSignUp({ ...base, acceptInvitation, policy: settings.SIGN_UP });
  const reset = createPasswordReset(base);
  const own = createOwnUser({ ...base, endMemberships });
  const { signIn, outcomes } = createSignIn({ ...base, allowsDemo });
  const requirePrivate = () => requirePrivateOrigin(publicOrigin);
  const sessionOf = sessionReader(credentials);
  return {
    publicOrigin,
    seed: () => createDemoPerson(users, hasher, allowsDemo),
    mount(routes: RouteTable) {
      mountUsers(routes, { signUp, reset, requirePrivate });
      mountOwnUser(routes, own, requirePrivate);
      mountSignIn(routes, { signIn, sessionOf, requirePrivate, publicOrigin });
      mountSessions(routes, sessions);
      mountMailPages(routes);
    },
    metrics(registry: Registry) {
      const changes = () => ({ ...signUp.stats, ...reset.stats, ...own.stats });
      registerPeopleMetrics(registry, { signIns: outcomes, changes, hashes: () => hasher.stats });
    },
    jobs: [
      { name: 'save when sessions were last used', by: 'each', everyMs: 30_000, run: sessions.flushLastUsed },
      { name: 'delete sessions that ended', by: 'one', everyMs: 600_000, run: sessions.forget },
      { name: 'delete unconfirmed users and old tokens', by: 'one', everyMs: 600_000, run: users.forget },
      { name: 'delete old attempts to sign in', by: 'one', everyMs: 600_000, run: throttle.forget },
    ] satisfies Job[],
  };
}
