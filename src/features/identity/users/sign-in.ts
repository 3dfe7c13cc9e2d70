import { AtlasError } from '../../../errors.ts';
import type { Actor } from '../../../utils/actor.ts';
import { DEMO_PERSON } from '../../../utils/demo-data.ts';
import type { PasswordHasher } from '../password-hasher.ts';
import type { SecondFactor } from '../second-factor/service.ts';
import type { FormerSession, StartedSession } from '../session.ts';
import type { SessionService } from '../sessions/service.ts';
import type { Attempt, Throttle } from '../throttle/service.ts';
import type { UserSecrets } from '../user.ts';
import type { Visitor } from '../visitor.ts';
import type { Tx, UserRepository } from './repository.ts';

/** What a person sends to sign in. */
export interface Credential {
  /** In the form of `normalizeEmail`; null if what was sent is no address, which nobody has. */
  readonly email: string | null;
  readonly password: string;
  /** Of the second factor: from the authenticator app, or a recovery code. */
  readonly code: string | undefined;
  /** The organization to act for. */
  readonly organization: string | undefined;
}

/** What else happens in the transaction that starts a session. */
export type Within = (tx: Tx, actor: Actor) => Promise<void>;

/** How attempts to sign in ended since the start of this process. */
export type SignInOutcomes = Readonly<Record<'succeeded' | 'failed' | 'second_factor' | 'refused', number>>;

/** Signs people in with a password. */
export interface SignIn {
  /**
   * Starts a session, and does what is `within` in the same transaction. Throws `sign_in_failed`, in the same words
   * and after the same work, if nobody has the address, the password is wrong, or its user may not sign in;
   * `second_factor_required` if the password is right, and there is no right code; `too_many_attempts`, and
   * `sign_in_overloaded`.
   */
  signIn(
    credential: Credential,
    visitor: Visitor,
    former: FormerSession | null,
    within?: Within,
  ): Promise<StartedSession>;
  /** Starts a session of a user whom a provider has identified, instead of with a password. Throws the same. */
  enter(
    userId: string,
    proof: Pick<Credential, 'code'> & { readonly authenticatedAt: Date },
    visitor: Visitor,
    former: FormerSession | null,
    within?: Within,
  ): Promise<StartedSession>;
  readonly outcomes: SignInOutcomes;
}

/** Dependencies of signing in. */
export interface SignInPorts {
  readonly users: Pick<UserRepository, 'findByEmail' | 'findSecrets' | 'lock'>;
  readonly sessions: SessionService;
  readonly hasher: PasswordHasher;
  readonly throttle: Throttle;
  readonly secondFactor: Pick<SecondFactor, 'attempt'>;
  /** Whether the person of the demo data, whose password everybody knows, can sign in. */
  readonly allowsDemo: boolean;
}

// What is counted for everything that is no address.
const NO_ADDRESS = '';

export function createSignIn(ports: SignInPorts): SignIn {
  const { users, hasher, throttle, allowsDemo } = ports;
  const maySignIn = ({ id, confirmedAt, isLocked }: UserSecrets) =>
    confirmedAt !== null && !isLocked && (allowsDemo || id !== DEMO_PERSON.id);
  const begin = createBegin(ports, maySignIn);
  const outcomes = { succeeded: 0, failed: 0, second_factor: 0, refused: 0 };

  /** Returns the user whose password this is, if they may sign in. One hash is computed in any case. */
  async function verified(credential: Credential, visitor: Visitor): Promise<UserSecrets | null> {
    const user = credential.email === null ? null : await users.findByEmail(credential.email, visitor.signal);
    const isRight = await hasher.verify(credential.password, user?.passwordHash ?? null, visitor);
    return isRight && user !== null && maySignIn(user) ? user : null;
  }

  async function attempt(credential: Credential, visitor: Visitor): Promise<Attempt> {
    try {
      hasher.requireRoom(visitor.address);
      return await throttle.signIn(credential.email ?? NO_ADDRESS, visitor.address, visitor.signal);
    } catch (error) {
      outcomes.refused++;
      throw error;
    }
  }

  return {
    outcomes,
    async enter(userId, proof, visitor, former, within) {
      const user = await users.findSecrets(userId, visitor.signal);
      if (user === null || !maySignIn(user)) throw failed();
      return begin(user, proof, visitor, former, within);
    },
    async signIn(credential, visitor, former, within) {
      const trial = await attempt(credential, visitor);
      let user: UserSecrets | null;
      try {
        user = await verified(credential, visitor);
      } catch (error) {
        outcomes.refused++;
        await trial.dropped();
        throw error;
      }
      if (user === null) {
        outcomes.failed++;
        throw failed();
      }
      try {
        const started = await begin(user, credential, visitor, former, within);
        await trial.succeeded();
        outcomes.succeeded++;
        return started;
      } catch (error) {
        const code = error instanceof AtlasError ? error.code : null;
        if (code === 'second_factor_required') outcomes.second_factor++;
        else outcomes.refused++;
        // A wrong code is a failed attempt. Otherwise the password was right, and nothing was guessed.
        if (code !== 'second_factor_required' || credential.code === undefined) await trial.dropped();
        throw error;
      }
    },
  };
}

/** What a user has proven: the password just now, or at the provider at a time. */
type Proof = Pick<Credential, 'code'> & Partial<Credential> & { readonly authenticatedAt?: Date };

type MaySignIn = (user: UserSecrets) => boolean;

/** Returns what starts the session of a user who has proven who they are, but for the second factor. */
function createBegin({ users, sessions, secondFactor }: SignInPorts, maySignIn: MaySignIn) {
  return async (
    user: UserSecrets,
    { code, organization, authenticatedAt }: Proof,
    visitor: Visitor,
    former: FormerSession | null,
    within?: Within,
  ): Promise<StartedSession> => {
    const { address, userAgent, asSession, asUser, signal } = visitor;
    if (user.hasSecondFactor && code === undefined) throw codeRequired();
    const second = user.hasSecondFactor ? await secondFactor.attempt(user, code!, visitor) : null;
    const started = await sessions.transaction(
      async (tx) => {
        // The password may have been changed meanwhile, which ended all sessions: this one must not outlive that.
        const now = await users.lock(tx, user.id);
        if (now === null || now.passwordHash !== user.passwordHash || !maySignIn(now)) throw failed();
        if (now.hasSecondFactor && !(await second?.use(tx, asUser(user.id)))) throw codeWrong();
        const actorOf = (id: string) => asSession(id, user.id);
        const opened = await sessions.start(tx, {
          userId: user.id,
          organization,
          authenticatedAt,
          address,
          userAgent,
          actorOf,
        });
        await within?.(tx, actorOf(opened.session.id));
        if (former !== null) await sessions.endIfAny(tx, actorOf(opened.session.id), former);
        return opened;
      },
      { signal },
    );
    await second?.succeeded();
    return started;
  };
}

const codeRequired = () =>
  new AtlasError('second_factor_required', 'The password is right. A second factor is required.');

const codeWrong = () =>
  new AtlasError(
    'second_factor_required',
    'The code is wrong, is of another time, or was used. Send another one.',
  );

const failed = () =>
  new AtlasError(
    'sign_in_failed',
    'Nobody was signed in: the address or the password is wrong, or the address is not confirmed.',
  );
