import type { WithdrawInvitations } from '../members/service.ts';
import type { ScopesOfRoles } from '../roles.ts';
import type { InvitationRepository } from './repository.ts';

/** Otherwise somebody could provide for their removal by inviting another address of theirs. */
export function createWithdrawInvitations(
  repository: Pick<InvitationRepository, 'listSentBy' | 'remove' | 'record'>,
  scopesOfRoles: ScopesOfRoles,
): WithdrawInvitations {
  return async (tx, actor, { organization, sender, held }) => {
    const mayInvite = held.includes('members:write');
    for (const invitation of await repository.listSentBy(tx, organization, sender)) {
      if (mayInvite && scopesOfRoles[invitation.role].every((scope) => held.includes(scope))) continue;
      await repository.remove(tx, invitation.id);
      await repository.record(tx, actor, 'withdrawn', invitation);
    }
  };
}
