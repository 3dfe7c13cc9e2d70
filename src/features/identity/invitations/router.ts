import { IS_REPLAYED, OptionalIdempotencyHeadersSchema, REPLAYED } from '../../../http/idempotency.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { organizationCallerOf, personOf } from '../organization-caller.ts';
import { OwnOrganizationPathSchema } from '../organization-path.ts';
import {
  AcceptanceSchema,
  InvitationListSchema,
  InvitationPathSchema,
  InvitationSchema,
  NewAcceptanceSchema,
  NewInvitationSchema,
} from './schemas.ts';
import type { InvitationService } from './service.ts';

const COMMON = { tag: 'Organizations', tier: 'default', resource: 'database' } as const;
const PATH = '/v1/organizations/{id}/invitations';

/** Mounts `/v1/organizations/{id}/invitations` and `/v1/invitations/acceptances`. */
export function mountInvitations(routes: RouteTable, invitations: InvitationService): void {
  routes.mount(
    {
      ...COMMON,
      method: 'get',
      path: PATH,
      operationId: 'listInvitations',
      summary: 'List the open invitations of your organization',
      description: 'Oldest first, and all of them: an organization can have 100.',
      scope: 'members:read',
      params: OwnOrganizationPathSchema,
      compressible: true,
      refusals: ['organization_not_found'],
      responses: { 200: jsonOf('The open invitations', InvitationListSchema) },
    },
    async ({ exchange, params }) => {
      const { organization } = organizationCallerOf(exchange, params.id);
      return exchange.json({ invitations: await invitations.list(organization, exchange.signal) }, 200);
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'post',
      path: PATH,
      operationId: 'createInvitation',
      summary: 'Invite somebody by mail',
      description:
        'The mail has a token that works once, within 7 days, and only for the address that it was sent to, whether somebody has an account with that yet or not. Inviting an address again replaces its open invitation. Nobody gives a role that may do more than they may. An organization can send 50 invitations in an hour.',
      scope: 'members:write',
      params: OwnOrganizationPathSchema,
      headers: OptionalIdempotencyHeadersSchema,
      body: NewInvitationSchema,
      example: { email: 'grace@demo.example', role: 'member' },
      refusals: [
        'organization_not_found',
        'role_exceeded',
        'already_member',
        'too_many_invitations',
        'too_many_mails',
        'mail_queue_full',
        'idempotency_key_reused',
        'secrets_key_missing',
      ],
      responses: { 201: jsonOf('The invitation', InvitationSchema, REPLAYED) },
    },
    async ({ exchange, params, headers, body }) => {
      const caller = organizationCallerOf(exchange, params.id);
      const key = headers['Idempotency-Key'];
      const { result, replayed } = await invitations.create(caller, body, key, exchange.signal);
      return exchange.json(result, 201, replayed ? IS_REPLAYED : undefined);
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'delete',
      path: `${PATH}/{invitationId}`,
      operationId: 'withdrawInvitation',
      summary: 'Withdraw an invitation',
      scope: 'members:write',
      params: InvitationPathSchema,
      refusals: ['organization_not_found', 'invitation_not_found', 'role_exceeded'],
      responses: { 204: { description: 'Nobody can accept it anymore.' } },
    },
    async ({ exchange, params }) => {
      const caller = organizationCallerOf(exchange, params.id);
      await invitations.withdraw(caller, params.invitationId, exchange.signal);
      return exchange.empty(204);
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'post',
      path: '/v1/invitations/acceptances',
      operationId: 'acceptInvitation',
      summary: 'Accept an invitation',
      description:
        'Makes you a member of the organization. The address of your user must be the one that the mail was sent to. Who is a member already keeps their role.',
      scope: 'me:write',
      headers: OptionalIdempotencyHeadersSchema,
      body: NewAcceptanceSchema,
      example: { token: 'atlas_once_OOt0pVIc5YTEaHnVCcfWI3XbVnQnzWjSPEOnTjWGhOY' },
      refusals: [
        'invitation_invalid',
        'too_many_members',
        'too_many_organizations',
        'idempotency_key_reused',
        'secrets_key_missing',
      ],
      responses: { 201: jsonOf('Your membership', AcceptanceSchema, REPLAYED) },
    },
    async ({ exchange, headers, body }) => {
      const key = headers['Idempotency-Key'];
      const { result, replayed } = await invitations.accept(
        personOf(exchange),
        body.token,
        key,
        exchange.signal,
      );
      return exchange.json(result, 201, replayed ? IS_REPLAYED : undefined);
    },
  );
}
