import { AtlasError } from '../../../errors.ts';
import { hashOneTimeToken } from '../one-time-token.ts';
import type { PasswordHasher } from '../password-hasher.ts';
import { requireSuitable } from '../password-rules.ts';
import type { OwnSessions } from '../sessions/service.ts';
import type { Throttle } from '../throttle/service.ts';
import type { Visitor } from '../visitor.ts';
import type { PersonMails } from './person-mails.ts';
import type { Tx, UserRepository } from './repository.ts';

/** How people who forgot their password get another one. */
export interface PasswordReset {
  /** Sends a mail with a token if somebody has the address. It returns the same if nobody has. */
  request(email: string, visitor: Visitor): Promise<void>;
  /**
   * Sets the password of the person who got the token, and ends all sessions. It starts none, and the second factor
   * stays. Throws `one_time_token_invalid` and `password_unsuitable`.
   */
  complete(token: string, password: string, visitor: Visitor): Promise<void>;
  readonly stats: Readonly<Record<'reset', number>>;
}

/** Dependencies of resetting passwords. */
export interface PasswordResetPorts {
  readonly users: UserRepository;
  readonly sessions: Pick<OwnSessions, 'endAll'>;
  readonly hasher: PasswordHasher;
  readonly throttle: Throttle;
  readonly mails: PersonMails;
  /** Returns the accounts at a provider that sign a user in. */
  readonly identitiesOf: (
    tx: Tx,
    userId: string,
  ) => Promise<readonly { readonly issuer: string; readonly subject: string }[]>;
}

export function createPasswordReset(ports: PasswordResetPorts): PasswordReset {
  const { users, sessions, hasher, throttle, mails, identitiesOf } = ports;
  const stats = { reset: 0 };
  return {
    stats,
    async request(email, visitor) {
      await throttle.mail(visitor.address, visitor.signal);
      await users.transaction(
        async (tx) => {
          const user = await users.lockByEmail(tx, email);
          const isKept = user !== null && !user.isLocked;
          // Otherwise the time, or what fails on the way, would say whether somebody has the address.
          const id = user?.id ?? Bun.randomUUIDv7();
          await users.rehearse(tx, isKept, () => mails.sendToken(tx, 'reset_password', { id, email }));
        },
        { signal: visitor.signal },
      );
    },
    async complete(token, password, visitor) {
      const hash = hashOneTimeToken(token);
      const user = await users.findByToken('reset_password', hash, visitor.signal);
      if (user === null) throw tokenInvalid();
      await requireSuitable(password, user);
      const passwordHash = await hasher.hash(password, visitor);
      const actor = visitor.asUser(user.id);
      await users.transaction(
        async (tx) => {
          // The user before the token, as everywhere.
          await users.lock(tx, user.id);
          if ((await users.consumeToken(tx, 'reset_password', hash)) === null) throw tokenInvalid();
          // The mail shows that the address is theirs, too.
          await users.update(tx, user.id, { passwordHash, isConfirmed: true });
          await users.deleteTokens(tx, user.id);
          await sessions.endAll(tx, { userId: user.id, actor }, null);
          await users.record(tx, actor, { action: 'password.reset', userId: user.id });
          await mails.sendPasswordReset(tx, user.email, await identitiesOf(tx, user.id));
        },
        { signal: visitor.signal },
      );
      await throttle.forgive(user.email);
      stats.reset++;
    },
  };
}

const tokenInvalid = () =>
  new AtlasError('one_time_token_invalid', 'The token is invalid, has expired, or was used.');
