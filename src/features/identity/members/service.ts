import { AtlasError } from '../../../errors.ts';
import type { Actor } from '../../../utils/actor.ts';
import { organizationNotFound } from '../organization-caller.ts';
import { requireCovers } from '../role-limits.ts';
import type { Role } from '../roles.ts';
import type { OrganizationCaller } from '../standing/service.ts';
import { type AddMember, createAddMember } from './add-member.ts';
import type { Member } from './member.ts';
import {
  createMembershipChanges,
  type MembershipChanges,
  type MembershipPorts,
  type WithdrawInvitations,
} from './membership-changes.ts';
import type { MemberRepository, Tx } from './repository.ts';

/** The members of organizations. Everything throws `AtlasError`. */
export interface MemberService {
  list: MemberRepository['list'];
  /** Nobody changes a member who may do more than they may, or lets one do more. */
  changeRole(caller: OrganizationCaller, userId: string, role: Role, signal?: AbortSignal): Promise<Member>;
  remove(caller: OrganizationCaller, userId: string, signal?: AbortSignal): Promise<void>;
  /** Ends the membership of the caller in any organization. */
  leave(caller: OrganizationCaller, organization: string, signal?: AbortSignal): Promise<void>;
  readonly add: AddMember;
  /**
   * Gives a user a role for a command on the host, in a transaction that has locked the
   * organization.
   */
  grant(tx: Tx, actor: Actor, organization: string, userId: string, role: Role): Promise<void>;
  /** Ends all memberships of a user who is about to be deleted. The transaction has locked nothing yet. */
  endAll(tx: Tx, actor: Actor, userId: string): Promise<void>;
  readonly lockOrganizationsOf: MembershipChanges['lockOrganizationsOf'];
  /** Changes since the start of this process. */
  readonly stats: Readonly<Record<'changed' | 'removed', number>>;
}

/** Dependencies of members. */
export type MemberPorts = MembershipPorts;
export type { WithdrawInvitations };

export function createMemberService(ports: MemberPorts): MemberService {
  const { repository, standing, scopesOfRoles } = ports;
  const { setRole, end, endAll, lockOrganizationsOf } = createMembershipChanges(ports);
  const stats = { changed: 0, removed: 0 };

  /** Runs work as the only change of the people of the caller's organization, with what the caller may do now. */
  const change = <T>(
    caller: OrganizationCaller,
    work: (tx: Tx, held: readonly string[]) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> =>
    repository.transaction(
      async (tx) => {
        await standing.lock(tx, caller.organization);
        return work(tx, await standing.require(tx, caller, 'members:write'));
      },
      { signal },
    );

  /** Returns a member whom the caller may change. */
  async function changeable(tx: Tx, organization: string, userId: string, held: readonly string[]) {
    const member = await repository.find(tx, organization, userId);
    if (member === null)
      throw new AtlasError('member_not_found', `The organization has no member with the ID ${userId}.`);
    requireCovers(scopesOfRoles, held, member.role);
    return member;
  }

  const add = createAddMember(repository);

  return {
    stats,
    list: repository.list,
    add,
    lockOrganizationsOf,
    async grant(tx, actor, organization, userId, role) {
      if ((await add(tx, actor, organization, userId, role)) === role) return;
      const member = await repository.find(tx, organization, userId);
      await setRole(tx, actor, organization, member!, role);
    },
    async changeRole(caller, userId, role, signal) {
      const { organization, actor } = caller;
      const work = async (tx: Tx, held: readonly string[]) => {
        const member = await changeable(tx, organization, userId, held);
        requireCovers(scopesOfRoles, held, role);
        if (member.role === role) return { member, isChanged: false };
        await setRole(tx, actor, organization, member, role);
        return { member: { ...member, role }, isChanged: true };
      };
      const { member, isChanged } = await change(caller, work, signal);
      if (isChanged) stats.changed++;
      return member;
    },
    async remove(caller, userId, signal) {
      const { organization, actor } = caller;
      const work = async (tx: Tx, held: readonly string[]) =>
        end(tx, actor, organization, await changeable(tx, organization, userId, held));
      await change(caller, work, signal);
      stats.removed++;
    },
    async leave(caller, organization, signal) {
      const work = async (tx: Tx) => {
        const requireMember = async () => {
          const member = await repository.find(tx, organization, caller.userId!);
          if (member === null) throw organizationNotFound(organization);
          return member;
        };
        // Nobody can lock an organization that they are not in.
        await requireMember();
        await standing.lock(tx, organization);
        await standing.require(tx, caller, 'me:write');
        const member = await requireMember();
        await end(tx, caller.actor, organization, member);
      };
      await repository.transaction(work, { signal });
      stats.removed++;
    },
    async endAll(tx, actor, userId) {
      stats.removed += await endAll(tx, actor, userId);
    },
  };
}
