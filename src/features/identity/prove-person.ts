import { AtlasError } from '../../errors.ts';
import type { PasswordHasher } from './password-hasher.ts';
import type { OwnSessions } from './sessions/service.ts';
import type { Standing } from './standing/service.ts';
import type { Throttle } from './throttle/service.ts';
import { existing, type UserSecrets } from './user.ts';
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

/** How people with a session show that they are its user, and not somebody who found it open. */
export interface PersonProof {
  /**
   * Requires the password again of a person who has one, and otherwise a session of the last 10 minutes: a session that
   * was left open must not be enough to change how somebody signs in (OWASP ASVS 5, 7.5.1). Throws like the others.
   */
  prove(person: SignedIn, password: string | undefined): Promise<Proof>;
  /** Requires the password again. Throws `password_wrong`, also if there is none, and `too_many_attempts`. */
  requirePassword(person: SignedIn, user: UserSecrets, password: string | undefined): Promise<void>;
  /**
   * Throws `unauthenticated` if the session of a person has ended. The transaction has locked the user. What the cache of
   * credentials knows is seconds old, and who held a session that has just ended must not change how its user signs in.
   */
  requireSession(tx: Tx, person: SignedIn): Promise<void>;
}

/** Dependencies of proving who a person is. */
export interface ProofPorts {
  readonly users: {
    findSecrets(id: string, signal?: AbortSignal): Promise<UserSecrets | null>;
    lock(tx: Tx, id: string): Promise<UserSecrets | null>;
  };
  readonly sessions: Pick<OwnSessions, 'requireRecent'>;
  readonly hasher: PasswordHasher;
  readonly throttle: Throttle;
  readonly standing: Pick<Standing, 'require'>;
}

export function createPersonProof({ users, sessions, hasher, throttle, standing }: ProofPorts): PersonProof {
  const proof: PersonProof = {
    async prove(person, password) {
      const user = existing(await users.findSecrets(person.userId, person.signal));
      if (user.hasPassword) await proof.requirePassword(person, user, password);
      else await sessions.requireRecent(person);
      return {
        user,
        async requireSame(tx) {
          const now = existing(await users.lock(tx, user.id));
          if (now.passwordHash !== user.passwordHash) throw wrong('The password was changed meanwhile.');
          await proof.requireSession(tx, person);
          return now;
        },
      };
    },
    async requirePassword(person, user, password) {
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
    },
    async requireSession(tx, { userId, sessionId: keyId, actor }) {
      await standing.require(tx, { organization: '', keyId, userId, actor }, 'me:write');
    },
  };
  return proof;
}

const wrong = (detail: string) => new AtlasError('password_wrong', detail);
