import type { MemberPorts } from '../members/service.ts';
import type { ScopesOfRoles } from '../roles.ts';
import type { InvitationRepository } from './repository.ts';

/**
 * Withdraws the open invitations that a member sent for roles that they could no longer grant. Otherwise somebody could
 * provide for their removal by inviting another address of theirs.
 */
export function createWithdrawInvitations(
  repository: Pick<InvitationRepository, 'listSentBy' | 'remove' | 'record'>,
  scopesOfRoles: ScopesOfRoles,
): MemberPorts['withdrawInvitations'] {
  return async (tx, actor, { organization, userId, held }) => {
    for (const invitation of await repository.listSentBy(tx, organization, userId)) {
      if (scopesOfRoles[invitation.role].every((scope) => held.includes(scope))) continue;
      await repository.remove(tx, invitation.id);
      await repository.record(tx, actor, 'withdrawn', invitation);
    }
  };
}
