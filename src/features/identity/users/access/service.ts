import { AtlasError } from '../../../../errors.ts';
import type { Actor } from '../../../../utils/actor.ts';
import type { MemberService, WithdrawInvitations } from '../../members/service.ts';
import type { SessionService } from '../../sessions/service.ts';
import type { UserAccess, UserAccessRepository } from './repository.ts';

/** What operators do with users. Locking and unlocking throw `user_not_found` if there is none with the ID. */
export interface UserAccessService {
  /** Returns the user with this address, or null. */
  findByEmail(email: string, signal?: AbortSignal): Promise<UserAccess | null>;
  /**
   * Locks a user out: within 5 s every worker refuses their sessions, which have ended, and nobody signs in as them.
   * The open invitations that they sent are withdrawn. What they are a member of stays. Locking again changes nothing.
   */
  lock(id: string, actor: Actor, signal?: AbortSignal): Promise<UserAccess>;
  /** Lets a user sign in again. */
  unlock(id: string, actor: Actor, signal?: AbortSignal): Promise<UserAccess>;
}

/** Dependencies of {@link createUserAccessService}. */
export interface UserAccessPorts {
  readonly repository: UserAccessRepository;
  readonly sessions: Pick<SessionService, 'endAll'>;
  readonly members: Pick<MemberService, 'lockOrganizationsOf'>;
  readonly withdrawInvitations: WithdrawInvitations;
}

export function createUserAccessService(ports: UserAccessPorts): UserAccessService {
  const { repository, sessions, members, withdrawInvitations } = ports;
  const setLocked = (id: string, isLocked: boolean, actor: Actor, signal: AbortSignal | undefined) =>
    repository.transaction(
      async (tx) => {
        const organizations = isLocked ? await members.lockOrganizationsOf(tx, id) : [];
        const changed = await repository.setLocked(tx, id, isLocked);
        if (changed === null) throw new AtlasError('user_not_found', `There is no user with the ID ${id}.`);
        const { user, formerlyLockedAt } = changed;
        // They must not come back when the lock ends: perhaps somebody else holds them. This waits for what a session
        // is just changing, so the record of the lock comes after that.
        if (isLocked) await sessions.endAll(tx, { userId: id, actor }, null);
        for (const organization of organizations)
          await withdrawInvitations(tx, actor, { organization, sender: id, held: [] });
        if ((formerlyLockedAt !== null) !== isLocked)
          await repository.record(tx, actor, user, formerlyLockedAt);
        return user;
      },
      { signal },
    );

  return {
    findByEmail: (email, signal) => repository.findByEmail(email, signal),
    lock: (id, actor, signal) => setLocked(id, true, actor, signal),
    unlock: (id, actor, signal) => setLocked(id, false, actor, signal),
  };
}
