import type { Actor } from '../../../utils/actor.ts';
import type { Role, ScopesOfRoles } from '../roles.ts';
import type { Standing } from '../standing/service.ts';
import { lastOwner, type Member } from './member.ts';
import type { MemberRepository, Tx } from './repository.ts';

/** Which invitations of a user or key end with what they may do. */
export interface SentInvitations {
  readonly organization: string;
  /** The ID of the user or key. */
  readonly sender: string;
  /** What they may still do. */
  readonly held: readonly string[];
}

/**
 * Withdraws the open invitations that a user or key sent and could no longer send, in a transaction that has locked the
 * organization.
 */
export type WithdrawInvitations = (tx: Tx, actor: Actor, sent: SentInvitations) => Promise<void>;

/** Changes of memberships, in a transaction that has locked the organization. They throw `last_owner`. */
export interface MembershipChanges {
  setRole(tx: Tx, actor: Actor, organization: string, member: Member, role: Role): Promise<void>;
  end(tx: Tx, actor: Actor, organization: string, member: Pick<Member, 'userId' | 'role'>): Promise<void>;
  /** Ends all memberships of a user who is about to be deleted. The transaction has locked nothing yet. */
  endAll(tx: Tx, actor: Actor, userId: string): Promise<number>;
  /** Locks the organizations of a user, and returns their IDs. The transaction has locked nothing yet. */
  lockOrganizationsOf(tx: Tx, userId: string): Promise<string[]>;
}

/** Dependencies of {@link createMembershipChanges}. */
export interface MembershipPorts {
  readonly repository: MemberRepository;
  readonly standing: Standing;
  readonly scopesOfRoles: ScopesOfRoles;
  readonly withdrawInvitations: WithdrawInvitations;
}

export function createMembershipChanges({
  repository,
  standing,
  scopesOfRoles,
  withdrawInvitations,
}: MembershipPorts): MembershipChanges {
  async function requireOtherOwner(tx: Tx, organization: string, { role }: Pick<Member, 'role'>) {
    if (role === 'owner' && (await repository.count(tx, organization)).owners < 2) throw lastOwner();
  }

  const end: MembershipChanges['end'] = async (tx, actor, organization, member) => {
    const { userId, role } = member;
    await requireOtherOwner(tx, organization, member);
    await repository.remove(tx, organization, userId);
    await repository.record(tx, actor, { did: 'removed', organization, userId, before: { role } });
    await withdrawInvitations(tx, actor, { organization, sender: userId, held: [] });
  };

  const lockOrganizationsOf = async (tx: Tx, userId: string) => {
    const locked = (await repository.rolesOf(tx, userId)).map(({ organization }) => organization);
    await standing.lock(tx, ...locked);
    return locked;
  };

  return {
    lockOrganizationsOf,
    async setRole(tx, actor, organization, member, role) {
      const { userId } = member;
      await requireOtherOwner(tx, organization, member);
      await repository.setRole(tx, organization, userId, role);
      const [before, after] = [{ role: member.role }, { role }];
      await repository.record(tx, actor, { did: 'changed', organization, userId, before, after });
      await withdrawInvitations(tx, actor, { organization, sender: userId, held: scopesOfRoles[role] });
    },
    end,
    async endAll(tx, actor, userId) {
      const locked = await lockOrganizationsOf(tx, userId);
      await repository.countOrganizations(tx, userId);
      const roles = await repository.lockRolesOf(tx, userId);
      for (const { organization, role } of roles) {
        // Joined just now. Its owners cannot be counted safely, and most likely it is new and has no other.
        if (role === 'owner' && !locked.includes(organization)) throw lastOwner();
        await end(tx, actor, organization, { userId, role });
      }
      return roles.length;
    },
  };
}
