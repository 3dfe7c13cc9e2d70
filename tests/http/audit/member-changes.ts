import { DEMO } from '../../../src/utils/demo-data.ts';
import { invitationSteps, newAddress } from '../../support/invitation-steps.ts';
import { callAs, createStaff } from '../../support/member-steps.ts';
import type { TestApp } from '../../support/test-app.ts';
import { addMember, createUser, tokenFor } from '../../support/user-steps.ts';
import type { Change } from './changes.ts';

let organizations = 0;

/** The operations on organizations by their people, and on users by operators. */
export function memberChanges(atlas: () => TestApp): Readonly<Record<string, Change>> {
  const { invited, withdraw, accept } = invitationSteps(atlas);
  const staff = () => createStaff(atlas(), `audited${++organizations}`);
  return {
    renameOwnOrganization: {
      actions: ['organization.saved'],
      async prepare() {
        const { owner } = await staff();
        return () => callAs(atlas(), owner, 'PATCH', '/v1/organizations/current', { name: 'Another' });
      },
    },
    changeRole: {
      actions: ['membership.changed'],
      async prepare() {
        const { owner, viewer } = await staff();
        const path = `/v1/organizations/current/members/${viewer.id}`;
        return () => callAs(atlas(), owner, 'PATCH', path, { role: 'member' });
      },
    },
    removeMember: {
      actions: ['membership.removed'],
      async prepare() {
        const { owner, viewer } = await staff();
        const path = `/v1/organizations/current/members/${viewer.id}`;
        return () => callAs(atlas(), owner, 'DELETE', path);
      },
    },
    leaveOrganization: {
      actions: ['membership.removed'],
      async prepare() {
        const { viewer } = await staff();
        await addMember(atlas(), viewer.id, DEMO.organization, 'viewer');
        return () => callAs(atlas(), viewer, 'DELETE', `/v1/users/me/organizations/${DEMO.organization}`);
      },
    },
    withdrawInvitation: {
      actions: ['invitation.withdrawn'],
      async prepare() {
        const { owner } = await staff();
        const { id } = await invited(owner, newAddress(), 'viewer');
        return () => withdraw(owner, id);
      },
    },
    acceptInvitation: {
      actions: ['invitation.accepted', 'membership.created'],
      async prepare() {
        const { owner } = await staff();
        const guest = await createUser(atlas(), { email: newAddress() });
        await invited(owner, guest.email, 'viewer');
        const token = await tokenFor(atlas(), guest.email);
        return () => accept(guest, token);
      },
    },
    lockUser: {
      actions: ['session.ended', 'user.locked'],
      async prepare() {
        const { id } = await createUser(atlas());
        return () => atlas().call('PUT', `/v1/operator/users/${id}/lock`);
      },
    },
    unlockUser: {
      actions: ['user.unlocked'],
      async prepare() {
        const { id } = await createUser(atlas());
        await atlas().call('PUT', `/v1/operator/users/${id}/lock`);
        return () => atlas().call('DELETE', `/v1/operator/users/${id}/lock`);
      },
    },
  };
}
