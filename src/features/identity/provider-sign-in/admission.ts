import { createHash } from 'node:crypto';
import { AtlasError } from '../../../errors.ts';
import type { Actor } from '../../../utils/actor.ts';
import type { Sealing } from '../../../utils/sealing.ts';
import { normalizeEmail } from '../email.ts';
import type { MailTo, Notice } from '../notice.ts';
import type { FormerSession, StartedSession } from '../session.ts';
import type { OwnSessions } from '../sessions/service.ts';
import type { Throttle } from '../throttle/service.ts';
import type { User, UserSecrets } from '../user.ts';
import type { Visitor } from '../visitor.ts';
import type { LinkedIdentity, Provider, ProviderIdentity } from './domain.ts';
import { type Flow, randomToken } from './flow.ts';
import { identityLinkedMail } from './mails.ts';
import type { IdentityRepository, Tx } from './repository.ts';

/** What else happens in the transaction that starts a session. */
export type Within = (tx: Tx, actor: Actor) => Promise<void>;

/** Somebody whom the provider has identified: signed in, or not before they have proven something more. */
export type ProviderOutcome =
  | { readonly kind: 'signed in'; readonly started: StartedSession; readonly redirect: string }
  | {
      readonly kind: 'pending';
      /** Of the cookie. */
      readonly secret: string;
      readonly email: string;
      readonly needsPassword: boolean;
      readonly needsCode: boolean;
      readonly redirect: string;
    };

/** Dependencies of signing in through a provider. */
export interface ProviderSignInPorts {
  /** Null if none is configured. */
  readonly provider: Provider | null;
  /** Where the provider sends browsers back to. */
  readonly redirectUri: string;
  readonly repository: IdentityRepository;
  readonly users: {
    findByEmail(email: string, signal?: AbortSignal): Promise<UserSecrets | null>;
    lock(tx: Tx, id: string): Promise<UserSecrets | null>;
    lockByEmail(tx: Tx, email: string): Promise<UserSecrets | null>;
    insert(
      tx: Tx,
      user: Pick<User, 'id' | 'email' | 'name'> & { passwordHash: null; isConfirmed: true },
    ): Promise<User | null>;
    record(
      tx: Tx,
      actor: Actor,
      change: { action: 'user.created'; userId: string; after: object },
    ): Promise<void>;
  };
  readonly sessions: Pick<OwnSessions, 'requireRecent'>;
  /** Signs in a user whom the provider has identified. */
  readonly enter: (
    userId: string,
    proof: { readonly code: string | undefined; readonly authenticatedAt: Date },
    visitor: Visitor,
    former: FormerSession | null,
    within?: Within,
  ) => Promise<StartedSession>;
  /** Signs in with a password. */
  readonly signIn: (
    credential: { email: string; password: string; code: string | undefined; organization: undefined },
    visitor: Visitor,
    former: FormerSession | null,
    within?: Within,
  ) => Promise<StartedSession>;
  readonly throttle: Pick<Throttle, 'provider'>;
  readonly mails: { notify(tx: Tx, email: string, write: (to: MailTo) => Notice): Promise<void> };
  /** Locks what accepting the invitation with this token needs, before a user is stored. */
  readonly lockInvited: (tx: Tx, token: string) => Promise<unknown>;
  readonly acceptInvitation: (
    tx: Tx,
    actor: Actor,
    invitee: { userId: string; email: string; token: string },
  ) => Promise<unknown>;
  readonly sealing: Sealing;
  /** The setting `SIGN_UP`. */
  readonly policy: 'open' | 'invitation' | 'off';
  /** The setting `OIDC_TRUSTS_EMAIL`. */
  readonly trustsEmail: boolean;
}

/** How sign-ins through the provider ended since the start of this process. */
export type ProviderOutcomes = Record<'succeeded' | 'pending' | 'refused' | 'linked' | 'signed_up', number>;

/** Returns what is stored of the secret of somebody who is pending. */
export const hashOf = (secret: string) => createHash('sha256').update(secret).digest();

/** Returns a secret that says when its person signed in at the provider. Its hash is stored, so nobody changes that. */
const pendingSecret = (authenticatedAt: Date) => `${randomToken()}.${authenticatedAt.getTime()}`;

/** Returns when the person of a pending secret signed in at the provider; 1970 in those of earlier releases. */
export const authenticatedAtIn = (secret: string) => new Date(Number(secret.split('.')[1] ?? 0));

type Admit = (
  identity: ProviderIdentity,
  flow: Pick<Flow, 'redirect' | 'invitation' | 'former'>,
  visitor: Visitor,
) => Promise<ProviderOutcome>;

/** Returns what decides about somebody whom the provider has identified. */
export function createAdmission(ports: ProviderSignInPorts, outcomes: ProviderOutcomes): Admit {
  const { repository, users, enter, trustsEmail } = ports;
  const link = createLink(ports, () => outcomes.linked++);
  const signUp = createSignUp(ports, () => outcomes.signed_up++);

  /** Signs the user in, or stores what is missing for that. */
  async function enterOrAsk(
    user: Pick<UserSecrets, 'id' | 'email'>,
    identity: ProviderIdentity,
    { redirect, former }: Pick<Flow, 'redirect' | 'former'>,
    visitor: Visitor,
    within?: Within,
  ): Promise<ProviderOutcome> {
    const proof = { code: undefined, authenticatedAt: identity.authenticatedAt };
    try {
      const started = await enter(user.id, proof, visitor, former, within);
      outcomes.succeeded++;
      return { kind: 'signed in', started, redirect };
    } catch (error) {
      if (!(error instanceof AtlasError) || error.code !== 'second_factor_required') throw error;
      return ask(user, identity, { needsPassword: false, needsCode: true }, redirect);
    }
  }

  async function ask(
    { id: userId, email }: Pick<UserSecrets, 'id' | 'email'>,
    { issuer, subject, authenticatedAt }: ProviderIdentity,
    needs: { needsPassword: boolean; needsCode: boolean },
    redirect: string,
  ): Promise<ProviderOutcome> {
    const secret = pendingSecret(authenticatedAt);
    const { needsPassword } = needs;
    await repository.storePending(hashOf(secret), { issuer, subject, userId, email, needsPassword });
    outcomes.pending++;
    return { kind: 'pending', secret, email, ...needs, redirect };
  }

  return async (identity, flow, visitor) => {
    const { redirect, invitation } = flow;
    const known = await repository.findUser(identity, visitor.signal);
    if (known !== null) return enterOrAsk(known, identity, flow, visitor);
    const email = identity.isEmailVerified && identity.email !== null ? normalizeEmail(identity.email) : null;
    if (email === null)
      throw new AtlasError(
        'provider_email_unverified',
        'The provider does not say that your address is yours.',
      );
    const user = await users.findByEmail(email, visitor.signal);
    if (user?.confirmedAt != null) {
      const needs = { needsPassword: true, needsCode: user.hasSecondFactor };
      if (!trustsEmail) return ask(user, identity, needs, redirect);
      return enterOrAsk(user, identity, flow, visitor, link(user, identity));
    }
    const id = await signUp(email, identity, invitation, visitor);
    return enterOrAsk({ id, email }, identity, flow, visitor);
  };
}

/** Returns what links an identity to a user, in a transaction that has locked the user. */
export function createLink({ repository, mails, provider }: ProviderSignInPorts, onLinked: () => void) {
  return ({ id, email }: { id: string; email: string }, { issuer, subject }: LinkedIdentity): Within =>
    async (tx, actor) => {
      const result = await repository.link(tx, actor, id, { issuer, subject });
      if (result === 'taken')
        throw providerSignInFailed('Another user has this account of the provider, or you have too many.');
      if (result === 'known') return;
      await mails.notify(tx, email, identityLinkedMail(provider!.name));
      onLinked();
    };
}

/** Returns what makes a user of somebody whose address the provider has verified. */
function createSignUp(
  { repository, users, lockInvited, acceptInvitation, policy }: ProviderSignInPorts,
  onDone: () => void,
) {
  return async (
    email: string,
    { issuer, subject, name }: ProviderIdentity,
    invitation: string | null,
    visitor: Visitor,
  ): Promise<string> => {
    if (policy === 'off') throw closed('Nobody can sign up.');
    if (policy === 'invitation' && invitation === null)
      throw closed('Only people with an invitation can sign up.');
    const id = await repository.transaction(
      async (tx) => {
        if (invitation !== null) await lockInvited(tx, invitation);
        const newId = Bun.randomUUIDv7();
        const user = { id: newId, email, name, passwordHash: null, isConfirmed: true } as const;
        const inserted = await users.insert(tx, user);
        const known = inserted === null ? await users.lockByEmail(tx, email) : null;
        const userId = (inserted ?? known)?.id;
        // Deleted or confirmed meanwhile: another sign-in finds what is there.
        if (userId === undefined || (known !== null && known.confirmedAt !== null)) throw over();
        const actor = visitor.asUser(userId);
        if (invitation !== null) await acceptInvitation(tx, actor, { userId, email, token: invitation });
        if (known !== null) await repository.adopt(tx, userId, name);
        const after = { email, name, isConfirmed: true };
        await users.record(tx, actor, { action: 'user.created', userId, after });
        if ((await repository.link(tx, actor, userId, { issuer, subject })) === 'taken') throw over();
        return userId;
      },
      { signal: visitor.signal },
    );
    onDone();
    return id;
  };
}

export const providerSignInFailed = (detail: string) => new AtlasError('provider_sign_in_failed', detail);
export const over = () => providerSignInFailed('The sign-in is over: it was completed, or took too long.');
const closed = (why: string) =>
  new AtlasError('sign_up_closed', `This Atlas does not take new users. ${why}`);
