import type { Actor } from '../../../utils/actor.ts';
import type { PasswordHasher } from '../password-hasher.ts';
import { requireSuitable } from '../password-rules.ts';
import type { PersonProof } from '../prove-person.ts';
import type { StartedSession } from '../session.ts';
import type { OwnSessions } from '../sessions/service.ts';
import { existing, type User } from '../user.ts';
import type { SignedIn } from '../visitor.ts';
import type { PersonMails } from './person-mails.ts';
import type { Tx, UserRepository } from './repository.ts';

/** What people do with their own user. They throw `unauthenticated` if it was deleted meanwhile. */
export interface OwnUser {
  get(person: SignedIn): Promise<User>;
  rename(person: SignedIn, name: string): Promise<User>;
  /**
   * Sets another password, ends all other sessions, and gives this one another token. Throws `password_wrong`,
   * `password_unsuitable`, and `too_many_attempts`.
   */
  changePassword(person: SignedIn, currentPassword: string, newPassword: string): Promise<StartedSession>;
  /**
   * Deletes the user, with all sessions and memberships. Throws `last_owner`, and `reauthentication_required` unless
   * the session was started in the last minutes.
   */
  delete(person: SignedIn): Promise<void>;
  readonly stats: Readonly<Record<'renamed' | 'password_changed' | 'deleted', number>>;
}

/** Dependencies of people's own users. */
export interface OwnUserPorts {
  readonly users: UserRepository;
  readonly sessions: OwnSessions;
  readonly hasher: PasswordHasher;
  readonly requirePassword: PersonProof['requirePassword'];
  readonly mails: PersonMails;
  readonly endMemberships: (tx: Tx, actor: Actor, userId: string) => Promise<void>;
}

export function createOwnUser(ports: OwnUserPorts): OwnUser {
  const { users, sessions, endMemberships } = ports;
  const stats = { renamed: 0, password_changed: 0, deleted: 0 };
  const changePassword = createChangePassword(ports);

  return {
    stats,
    get: async ({ userId, signal }) => existing(await users.find(userId, signal)),
    async rename({ userId, actor, signal }, name) {
      const user = await users.transaction(
        async (tx) => {
          const before = existing(await users.lock(tx, userId));
          const renamed = existing(await users.update(tx, userId, { name }));
          const change = { before: { name: before.name }, after: { name } };
          await users.record(tx, actor, { action: 'user.updated', userId, ...change });
          return renamed;
        },
        { signal },
      );
      stats.renamed++;
      return user;
    },
    async changePassword(person, currentPassword, newPassword) {
      const rotated = await changePassword(person, currentPassword, newPassword);
      stats.password_changed++;
      return rotated;
    },
    async delete(person) {
      const { userId, actor, signal } = person;
      await sessions.requireRecent(person);
      await users.transaction(
        async (tx) => {
          await endMemberships(tx, actor, userId);
          const user = existing(await users.lock(tx, userId));
          await sessions.endAll(tx, person, null);
          await users.delete(tx, userId);
          const before = { email: user.email, name: user.name };
          await users.record(tx, actor, { action: 'user.deleted', userId, before });
        },
        { signal },
      );
      stats.deleted++;
    },
  };
}

function createChangePassword({ users, sessions, hasher, mails, requirePassword }: OwnUserPorts) {
  return async (person: SignedIn, currentPassword: string, newPassword: string): Promise<StartedSession> => {
    const { userId, sessionId, actor, signal } = person;
    const user = existing(await users.findSecrets(userId, signal));
    await requireSuitable(newPassword, user);
    await requirePassword(person, user, currentPassword);
    const passwordHash = await hasher.hash(newPassword, person);
    return users.transaction(
      async (tx) => {
        // Of two changes at once, the first ends the session of the second, which then fails.
        existing(await users.lock(tx, userId));
        await users.update(tx, userId, { passwordHash });
        await users.deleteTokens(tx, userId);
        await sessions.endAll(tx, person, sessionId);
        const rotated = await sessions.rotate(tx, person);
        await users.record(tx, actor, { action: 'password.changed', userId });
        await mails.sendPasswordChanged(tx, user.email);
        return rotated;
      },
      { signal },
    );
  };
}
