import { cursorSchema, linkNext, NEXT, toHex } from '../../../http/cursor.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { pageQuerySchema } from '../../../http/schemas.ts';
import { organizationCallerOf } from '../organization-caller.ts';
import { OwnOrganizationPathSchema } from '../organization-path.ts';
import type { Member } from './member.ts';
import type { MemberPosition } from './repository.ts';
import {
  MemberIdSchema,
  MemberPageSchema,
  MemberSchema,
  NewRoleSchema,
  SpareMemberIdSchema,
} from './schemas.ts';
import type { MemberService } from './service.ts';

const COMMON = { tag: 'Organizations', tier: 'default', resource: 'database' } as const;
const MEMBERS = '/v1/organizations/{id}/members';
const MEMBER = `${MEMBERS}/{userId}`;
const REFUSALS = ['organization_not_found', 'member_not_found', 'role_exceeded', 'last_owner'] as const;
const TIME_DIGITS = 14;
const ID_GROUPS = /^(.{8})(.{4})(.{4})(.{4})(.{12})$/;
// The time and the ID of the last member.
const CursorSchema = cursorSchema(
  /^m[0-7][0-9a-f]{13}[0-9a-f]{32}$/,
  (text): MemberPosition => ({
    joinedUs: BigInt(`0x${text.slice(1, 1 + TIME_DIGITS)}`).toString(),
    userId: text.slice(1 + TIME_DIGITS).replace(ID_GROUPS, '$1-$2-$3-$4-$5'),
  }),
);

/** Mounts `/v1/organizations/{id}/members`. */
export function mountMembers(routes: RouteTable, members: MemberService): void {
  routes.mount(
    {
      ...COMMON,
      method: 'get',
      path: MEMBERS,
      operationId: 'listMembers',
      summary: 'List the members of your organization',
      description: 'By when they joined.',
      scope: 'members:read',
      params: OwnOrganizationPathSchema,
      query: pageQuerySchema(CursorSchema),
      compressible: true,
      refusals: ['organization_not_found'],
      responses: { 200: jsonOf('A page of members', MemberPageSchema, NEXT) },
    },
    async ({ request, exchange, params, query }) => {
      const { organization } = organizationCallerOf(exchange, params.id);
      const { cursor = null, limit } = query;
      const page = await members.list(organization, cursor, limit, exchange.signal);
      const nextCursor = page.next === null ? null : toCursor(page.next);
      const body = { members: page.members.map(toResource), nextCursor };
      return exchange.json(body, 200, linkNext(request.url, nextCursor));
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'patch',
      path: MEMBER,
      operationId: 'changeRole',
      summary: 'Change the role of a member',
      description:
        'It holds within 5 seconds, everywhere. Nobody changes a member who may do more than they may, or lets one do more: only owners make owners, and change them. An organization always has an owner. Open invitations that the member sent for roles that they can no longer give are withdrawn.',
      scope: 'members:write',
      params: MemberIdSchema,
      body: NewRoleSchema,
      example: { role: 'viewer' },
      refusals: REFUSALS,
      responses: { 200: jsonOf('The member', MemberSchema) },
    },
    async ({ exchange, params, body }) => {
      const caller = organizationCallerOf(exchange, params.id);
      const member = await members.changeRole(caller, params.userId, body.role, exchange.signal);
      return exchange.json(toResource(member), 200);
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'delete',
      path: MEMBER,
      operationId: 'removeMember',
      summary: 'Remove a member',
      description:
        'Within 5 seconds their sessions can do nothing in the organization. Keys that they created stay: revoke those. Open invitations that they sent are withdrawn. To leave by yourself, whatever your role: `DELETE /v1/users/me/organizations/{id}`.',
      scope: 'members:write',
      params: SpareMemberIdSchema,
      refusals: REFUSALS,
      responses: { 204: { description: 'The user is no member anymore.' } },
    },
    async ({ exchange, params }) => {
      const caller = organizationCallerOf(exchange, params.id);
      await members.remove(caller, params.userId, exchange.signal);
      return exchange.empty(204);
    },
  );
}

function toResource({ userId, email, name, role, joinedAt }: Member) {
  return { userId, email, name, role, joinedAt: joinedAt.toISOString() };
}

function toCursor({ joinedUs, userId }: MemberPosition): string {
  return `m${toHex(BigInt(joinedUs), TIME_DIGITS)}${userId.replaceAll('-', '')}`;
}
