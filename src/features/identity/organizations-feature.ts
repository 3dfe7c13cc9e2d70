import type { Database } from '../../adapters/postgres/database.ts';
import type { RouteTable } from '../../http/route.ts';
import { createInvitationRepository } from './invitations/repository.ts';
import { mountInvitations } from './invitations/router.ts';
import { createInvitationService, type InvitationPorts } from './invitations/service.ts';
import { createWithdrawInvitations } from './invitations/withdraw-invitations.ts';
import { createMemberRepository } from './members/repository.ts';
import { mountMembers } from './members/router.ts';
import { createMemberService } from './members/service.ts';
import { createOwnOrganizations } from './organizations/own-organizations.ts';
import { mountOwnOrganizations } from './organizations/own-routes.ts';
import { createOrganizationRepository } from './organizations/repository.ts';
import { mountOrganizations } from './organizations/router.ts';
import { createOrganizationService } from './organizations/service.ts';

/** Dependencies of organizations. */
export interface OrganizationPorts extends Omit<InvitationPorts, 'repository' | 'addMember'> {
  readonly database: Database;
  /** Whether everybody may create an organization. */
  readonly isOpen: boolean;
}

/** Creates organizations, and what they are for their people: members and invitations. */
export function createOrganizations({ database, isOpen, ...shared }: OrganizationPorts) {
  const { standing, scopesOfRoles } = shared;
  const invited = createInvitationRepository(database);
  const withdrawInvitations = createWithdrawInvitations(invited, scopesOfRoles);
  const members = createMemberService({
    repository: createMemberRepository(database),
    standing,
    scopesOfRoles,
    withdrawInvitations,
  });
  const invitations = createInvitationService({ ...shared, repository: invited, addMember: members.add });
  const repository = createOrganizationRepository(database);
  const organizations = createOrganizationService(repository, shared.idempotency);
  const own = createOwnOrganizations({ ...shared, repository, addMember: members.add, isOpen });
  return {
    services: { organizations, members, invitations },
    withdrawInvitations,
    stats: { membership: members.stats, invitation: invitations.stats },
    forgetExpired: invited.forgetExpired,
    mount(routes: RouteTable) {
      mountOrganizations(routes, organizations);
      mountOwnOrganizations(routes, { own, organizations, members });
      mountMembers(routes, members);
      mountInvitations(routes, invitations);
    },
  };
}
