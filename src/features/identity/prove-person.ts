import { AtlasError } from '../../errors.ts';
import type { PasswordHasher } from './password-hasher.ts';
import { RECENT_MINUTES } from './session.ts';
import type { OwnSessions } from './sessions/service.ts';
import type { Standing } from './standing/service.ts';
import type { Throttle } from './throttle/service.ts';
import type { UserSecrets } from './user.ts';
import type { SignedIn } from './visitor.ts';

type Tx = Parameters<Standing['require']>[0];

/** A person with a session who has shown to be its user. */
export interface Proof {
  readonly user: UserSecrets;
  /**
   * Locks the user in a transaction, and returns it. Throws `password_wrong` if the password was changed meanwhile, and
   * `unauthenticated` if the session has ended.
   */
  requireSame(tx: Tx): Promise<UserSecrets>;
}

/**
 * Requires the password again of a person who has one, and otherwise a session of the last 10 minutes: a session that
 * was left open must not be enough to change how somebody signs in (OWASP ASVS 5, 7.5.1). Throws `password_wrong`,
 * `too_many_attempts`, and `reauthentication_required`.
 */
export type ProvePerson = (person: SignedIn, password: string | undefined) => Promise<Proof>;

/** Dependencies of proving who a person is. */
export interface ProofPorts {
  readonly users: {
    findSecrets(id: string, signal?: AbortSignal): Promise<UserSecrets | null>;
    lock(tx: Tx, id: string): Promise<UserSecrets | null>;
  };
  readonly sessions: Pick<OwnSessions, 'get'>;
  readonly hasher: PasswordHasher;
  readonly throttle: Throttle;
  readonly standing: Pick<Standing, 'require'>;
}

const RECENT_MS = RECENT_MINUTES * 60_000;

export function createProvePerson({ users, sessions, hasher, throttle, standing }: ProofPorts): ProvePerson {
  async function requirePassword(person: SignedIn, user: UserSecrets, password: string | undefined) {
    if (password === undefined) throw wrong('Send your password.');
    const trial = await throttle.password(person.userId, person.signal);
    let isRight: boolean;
    try {
      isRight = await hasher.verify(password, user.passwordHash, person);
    } catch (error) {
      await trial.dropped();
      throw error;
    }
    if (!isRight) throw wrong('The current password is another one.');
    await trial.succeeded();
  }

  return async (person, password) => {
    const user = existing(await users.findSecrets(person.userId, person.signal));
    if (user.hasPassword) await requirePassword(person, user, password);
    else requireRecent((await sessions.get(person, 'current')).authenticatedAt);
    return {
      user,
      async requireSame(tx) {
        const now = existing(await users.lock(tx, user.id));
        if (now.passwordHash !== user.passwordHash) throw wrong('The password was changed meanwhile.');
        await requireSession(standing, tx, person);
        return now;
      },
    };
  };
}

/**
 * Throws `unauthenticated` if the session of a person has ended. The transaction has locked the user. What the cache of
 * credentials knows is seconds old, and who held a session that has just ended must not change how its user signs in.
 */
export async function requireSession(
  standing: Pick<Standing, 'require'>,
  tx: Tx,
  { userId, sessionId: keyId, actor }: SignedIn,
): Promise<void> {
  await standing.require(tx, { organization: '', keyId, userId, actor }, 'me:write');
}

function requireRecent(authenticatedAt: Date): void {
  if (Date.now() - authenticatedAt.getTime() > RECENT_MS)
    throw new AtlasError('reauthentication_required', 'This needs a session of the last 10 minutes.');
}

const wrong = (detail: string) => new AtlasError('password_wrong', detail);

function existing<T>(user: T | null): T {
  if (user === null) throw new AtlasError('unauthenticated', 'The user of this session was deleted.');
  return user;
}
