import type { Registry } from 'prom-client';
import type { RouteTable } from '../../http/route.ts';
import type { Job } from '../feature.ts';
import { sessionReader } from './authentication.ts';
import type { Credentials } from './credentials.ts';
import type { IdentityPorts } from './feature.ts';
import type { EnqueueMail } from './mail/service.ts';
import { mountMailPages } from './mail-pages/router.ts';
import type { WithdrawInvitations } from './members/service.ts';
import type { createOrganizations } from './organizations-feature.ts';
import { PasswordHasher } from './password-hasher.ts';
import { registerPeopleMetrics } from './people-metrics.ts';
import { createPersonProof } from './prove-person.ts';
import { createOwnIdentities } from './provider-sign-in/own-identities.ts';
import { mountOwnIdentities } from './provider-sign-in/own-identities-router.ts';
import { createIdentityRepository } from './provider-sign-in/repository.ts';
import { mountProviderSignIn } from './provider-sign-in/router.ts';
import { createProviderSignIn } from './provider-sign-in/service.ts';
import { isForDevelopers, requirePrivateOrigin } from './public-origin.ts';
import { createSecondFactorRepository } from './second-factor/repository.ts';
import { mountSecondFactor } from './second-factor/router.ts';
import { createSecondFactor } from './second-factor/service.ts';
import { mountSessions } from './sessions/router.ts';
import type { SessionService } from './sessions/service.ts';
import type { Standing } from './standing/service.ts';
import { createAttemptRepository } from './throttle/repository.ts';
import { createThrottle } from './throttle/service.ts';
import { createUserAccessRepository } from './users/access/repository.ts';
import { mountUserAccess } from './users/access/router.ts';
import { createUserAccessService } from './users/access/service.ts';
import { createDemoPerson } from './users/demo-person.ts';
import { mountOwnUser } from './users/own-router.ts';
import { createOwnUser } from './users/own-user.ts';
import { createPasswordReset } from './users/password-reset.ts';
import { createPersonMails } from './users/person-mails.ts';
import { createProvision } from './users/provisioning.ts';
import { createUserRepository } from './users/repository.ts';
import { mountUsers } from './users/router.ts';
import { createSignIn } from './users/sign-in.ts';
import { mountSignIn } from './users/sign-in-router.ts';
import { createSignUp } from './users/sign-up.ts';

type Organizations = ReturnType<typeof createOrganizations>['services'];

/** Dependencies of people. */
interface PeoplePorts
  extends Organizations,
    Pick<IdentityPorts, 'database' | 'sealing' | 'identityProvider' | 'settings'> {
  readonly sessions: SessionService;
  readonly enqueueMail: EnqueueMail;
  readonly credentials: Pick<Credentials, 'verify'>;
  readonly publicOrigin: string | null;
  readonly standing: Standing;
  readonly withdrawInvitations: WithdrawInvitations;
}

/** Users, their passwords, and their sessions. */
export function createPeople(ports: PeoplePorts) {
  const { database, sessions, credentials, settings, publicOrigin, members, invitations } = ports;
  const allowsDemo = isForDevelopers(settings);
  const users = createUserRepository(database);
  const hasher = new PasswordHasher();
  const throttle = createThrottle(createAttemptRepository(database));
  const mails = createPersonMails(ports.enqueueMail, users, publicOrigin ?? '');
  const { sealing, standing } = ports;
  const base = { users, hasher, throttle, mails, sessions, sealing, standing };
  const invited = { lockInvited: invitations.lockInvited, acceptInvitation: invitations.acceptAs };
  const signUp = createSignUp({ ...base, ...invited, policy: settings.SIGN_UP });
  const identities = createIdentityRepository(database);
  const reset = createPasswordReset({ ...base, identitiesOf: identities.listIn });
  const proof = createPersonProof(base);
  const own = createOwnUser({ ...base, ...proof, endMemberships: members.endAll });
  const factors = { repository: createSecondFactorRepository(database), origin: publicOrigin ?? '' };
  const secondFactor = createSecondFactor({ ...base, ...factors, ...proof });
  const { signIn, enter, outcomes } = createSignIn({ ...base, secondFactor, allowsDemo });
  const ownIdentities = createOwnIdentities({ ...base, repository: identities });
  const provider = createProviderSignIn({
    ...base,
    provider: ports.identityProvider,
    redirectUri: `${publicOrigin}/v1/sessions/oidc/callback`,
    repository: identities,
    enter,
    signIn,
    ...invited,
    policy: settings.SIGN_UP,
    trustsEmail: settings.OIDC_TRUSTS_EMAIL,
  });
  const requirePrivate = () => requirePrivateOrigin(publicOrigin);
  const sessionOf = sessionReader(credentials, publicOrigin);
  const { withdrawInvitations } = ports;
  const access = createUserAccessService({
    ...{ repository: createUserAccessRepository(database), sessions, members, withdrawInvitations },
  });
  return {
    commands: { access, provision: createProvision({ ...ports, users, hasher }) },
    seed: () => createDemoPerson(users, hasher, allowsDemo),
    mount(routes: RouteTable) {
      mountUsers(routes, { signUp, reset, requirePrivate });
      mountOwnUser(routes, own, requirePrivate);
      mountSecondFactor(routes, secondFactor, requirePrivate);
      mountSignIn(routes, { signIn, sessionOf, requirePrivate, publicOrigin });
      mountProviderSignIn(routes, { provider, sessionOf, requirePrivate, publicOrigin });
      mountOwnIdentities(routes, ownIdentities);
      mountSessions(routes, sessions);
      mountUserAccess(routes, access);
      mountMailPages(routes);
    },
    metrics(registry: Registry) {
      const stats = [signUp, reset, own, secondFactor, ownIdentities].map((part) => part.stats);
      registerPeopleMetrics(registry, {
        signIns: outcomes,
        providerSignIns: provider.outcomes,
        changes: () => Object.assign({}, ...stats),
        hashes: () => hasher.stats,
      });
    },
    jobs: [
      { name: 'save when sessions were last used', by: 'each', everyMs: 30_000, run: sessions.flushLastUsed },
      { name: 'delete sessions that ended', by: 'one', everyMs: 600_000, run: sessions.forget },
      { name: 'delete unconfirmed users and old tokens', by: 'one', everyMs: 600_000, run: users.forget },
      { name: 'delete old provider sign-ins', by: 'one', everyMs: 600_000, run: provider.forget },
      { name: 'delete old attempts to sign in', by: 'one', everyMs: 600_000, run: throttle.forget },
    ] satisfies Job[],
  };
}
