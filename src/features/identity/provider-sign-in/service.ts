import { AtlasError } from '../../../errors.ts';
import { type FormerSession, RECENT_MINUTES, type StartedSession } from '../session.ts';
import type { Visitor } from '../visitor.ts';
import {
  authenticatedAtIn,
  createAdmission,
  createLink,
  hashOf,
  over,
  type ProviderOutcome,
  type ProviderOutcomes,
  type ProviderSignInPorts,
  providerSignInFailed,
  type Within,
} from './admission.ts';
import type { Provider } from './domain.ts';
import { openFlow, sealFlow, startFlow } from './flow.ts';

/** What somebody sends who is pending. */
export interface MissingProof {
  readonly password: string | undefined;
  readonly code: string | undefined;
}

/** Signs people in through an OpenID Connect provider. All throw `provider_off` without one. */
export interface ProviderSignIn {
  /** Returns where to send the browser, and the value of its cookie. */
  begin(
    options: {
      readonly redirect: string;
      readonly isRecent: boolean;
      readonly invitation: string | null;
      readonly former: FormerSession | null;
    },
    signal: AbortSignal,
  ): Promise<{ readonly location: string; readonly cookie: string }>;
  /**
   * Signs in whom the provider has sent back. Throws `provider_sign_in_failed`, `provider_unavailable`,
   * `provider_email_unverified`, `sign_up_closed`, `invitation_invalid`, `sign_in_failed`, and `too_many_attempts`.
   */
  finish(callback: URL, cookie: string | undefined, visitor: Visitor): Promise<ProviderOutcome>;
  /**
   * Signs in somebody who is pending, or only links the identity (null) if no password was sent and `former` is a
   * session of the same user, of the last minutes. Throws `provider_sign_in_failed`, `reauthentication_required`, and
   * what signing in throws.
   */
  complete(
    secret: string | undefined,
    proof: MissingProof,
    visitor: Visitor,
    former: FormerSession | null,
  ): Promise<StartedSession | null>;
  /** Deletes what is pending no more. */
  forget(): Promise<void>;
  readonly outcomes: Readonly<ProviderOutcomes>;
}

export function createProviderSignIn(ports: ProviderSignInPorts): ProviderSignIn {
  const { repository, throttle, sealing } = ports;
  const outcomes = { succeeded: 0, pending: 0, refused: 0, linked: 0, signed_up: 0 };
  const link = createLink(ports, () => outcomes.linked++);
  const admit = createAdmission(ports, outcomes);

  async function identify(callback: URL, cookie: string | undefined, visitor: Visitor) {
    const provider = required(ports.provider);
    const flow = openFlow(sealing, cookie);
    if (flow === null)
      throw providerSignInFailed('The sign-in was started in another browser, or too long ago.');
    // A response that is none is refused before anybody is asked about it.
    if (callback.searchParams.get('state') !== flow.state)
      throw providerSignInFailed('The response of the provider is to another sign-in.');
    const trial = await throttle.provider(visitor.address, visitor.signal);
    const identity = await provider.identify(callback, flow, visitor.signal).catch(async (error) => {
      if (!(error instanceof AtlasError) || error.code !== 'provider_sign_in_failed') await trial.dropped();
      throw error;
    });
    await trial.dropped();
    if (flow.isRecent && Date.now() - identity.authenticatedAt.getTime() > RECENT_MINUTES * 60_000)
      throw providerSignInFailed('The provider does not say that you have just signed in there.');
    return { flow, identity };
  }

  return {
    outcomes,
    forget: repository.forget,
    async begin(options, signal) {
      const provider = required(ports.provider);
      const flow = startFlow({ ...options, redirectUri: ports.redirectUri });
      const cookie = sealFlow(sealing, flow);
      return { location: await provider.authorizationUrl(flow, signal), cookie };
    },
    async finish(callback, cookie, visitor) {
      try {
        const { flow, identity } = await identify(callback, cookie, visitor);
        return await admit(identity, flow, visitor);
      } catch (error) {
        outcomes.refused++;
        throw error;
      }
    },
    complete: createCompletion(ports, link, () => outcomes.succeeded++),
  };
}

/** Returns what signs in somebody who is pending. */
function createCompletion(
  ports: ProviderSignInPorts,
  link: ReturnType<typeof createLink>,
  onSucceeded: () => void,
): ProviderSignIn['complete'] {
  const { repository, users, sessions, enter, signIn } = ports;
  return async (secret, { password, code }, visitor, former) => {
    required(ports.provider);
    const hash = hashOf(secret ?? '');
    const pending = await repository.findPending(hash, visitor.signal);
    if (pending === null) throw over();
    const { userId, email } = pending;
    const linked = link({ id: userId, email }, pending);
    const within: Within = async (tx, actor) => {
      if (!(await repository.consumePending(tx, hash))) throw over();
      await linked(tx, actor);
    };
    if (pending.needsPassword && password === undefined && former?.userId === userId) {
      const { signal } = visitor;
      await repository.transaction(
        async (tx) => {
          if ((await users.lock(tx, userId)) === null) throw over();
          await sessions.requireRecent({ userId, sessionId: former.id, signal }, tx);
          await within(tx, visitor.asSession(former.id, userId));
        },
        { signal },
      );
      return null;
    }
    const started = pending.needsPassword
      ? await signIn(
          { email, password: password ?? '', code, organization: undefined },
          visitor,
          former,
          within,
        )
      : await enter(userId, { code, authenticatedAt: authenticatedAtIn(secret!) }, visitor, former, within);
    onSucceeded();
    return started;
  };
}

function required(provider: Provider | null): Provider {
  if (provider === null) throw new AtlasError('provider_off', 'No OpenID Connect provider is set up.');
  return provider;
}
