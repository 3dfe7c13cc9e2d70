import type { InvitationResource } from '../../src/features/identity/invitations/service.ts';
import type { Role } from '../../src/features/identity/roles.ts';
import { callAs } from './member-steps.ts';
import type { TestApp } from './test-app.ts';

const INVITATIONS = '/v1/organizations/current/invitations';
let addresses = 0;

/** Returns an address that nobody has. */
export const newAddress = () => `invited${++addresses}@example.com`;

interface Caller {
  readonly token: string;
}

/** The routes of invitations as callers of an Atlas use them. */
export function invitationSteps(atlas: () => TestApp) {
  const invite = (
    caller: Caller,
    email: string,
    role: Role = 'viewer',
    headers: Record<string, string> = {},
  ) => callAs(atlas(), caller, 'POST', INVITATIONS, { email, role }, headers);
  return {
    invite,
    accept: (caller: Caller, token: string, headers: Record<string, string> = {}) =>
      callAs(atlas(), caller, 'POST', '/v1/invitations/acceptances', { token }, headers),
    withdraw: (caller: Caller, id: string) => callAs(atlas(), caller, 'DELETE', `${INVITATIONS}/${id}`),
    /** Invites somebody who is not refused. */
    async invited(caller: Caller, email: string, role?: Role): Promise<InvitationResource> {
      const response = await invite(caller, email, role);
      const text = await response.text();
      if (response.status !== 201) throw new Error(text);
      return JSON.parse(text);
    },
    async openInvitations(caller: Caller): Promise<InvitationResource[]> {
      const response = await callAs(atlas(), caller, 'GET', INVITATIONS);
      const text = await response.text();
      if (response.status !== 200) throw new Error(text);
      return (JSON.parse(text) as { invitations: InvitationResource[] }).invitations;
    },
  };
}
