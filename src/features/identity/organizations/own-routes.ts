import { IS_REPLAYED, OptionalIdempotencyHeadersSchema, REPLAYED } from '../../../http/idempotency.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import type { MemberService } from '../members/service.ts';
import { organizationCallerOf, personOf } from '../organization-caller.ts';
import { OwnOrganizationPathSchema } from '../organization-path.ts';
import { toResource } from './organization-resource.ts';
import type { OwnOrganizations } from './own-organizations.ts';
import {
  AnyOrganizationPathSchema,
  OwnOrganizationListSchema,
  OwnOrganizationNameSchema,
} from './own-schemas.ts';
import { OrganizationSchema } from './schemas.ts';
import type { OrganizationService } from './service.ts';

const COMMON = { tag: 'Organizations', tier: 'default', resource: 'database' } as const;
const PATH = '/v1/organizations';
const LOCATION = { Location: { description: 'Path of the organization', schema: { type: 'string' } } };
const ONE = {
  ...COMMON,
  path: `${PATH}/{id}`,
  params: OwnOrganizationPathSchema,
  refusals: ['organization_not_found'],
} as const;

/** Services of the organizations of users. */
export interface OwnOrganizationServices {
  readonly own: OwnOrganizations;
  readonly organizations: Pick<OrganizationService, 'get'>;
  readonly members: Pick<MemberService, 'leave'>;
}

/** Mounts `/v1/organizations` and `/v1/users/me/organizations`. */
export function mountOwnOrganizations(
  routes: RouteTable,
  { own, organizations, members }: OwnOrganizationServices,
): void {
  routes.mount(
    {
      ...COMMON,
      method: 'get',
      path: PATH,
      operationId: 'listOwnOrganizations',
      summary: 'List the organizations that you are a member of',
      description:
        'For sessions, whatever they act for. A key reads the one that it belongs to: `GET /v1/organizations/current`.',
      scope: 'me:read',
      compressible: true,
      responses: { 200: jsonOf('All of them, by ID', OwnOrganizationListSchema) },
    },
    async ({ exchange }) => {
      const found = await own.list(personOf(exchange).userId, exchange.signal);
      const organizations = found.map(({ role, ...organization }) => ({ ...toResource(organization), role }));
      return exchange.json({ organizations }, 200);
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'post',
      path: PATH,
      operationId: 'createOwnOrganization',
      summary: 'Create an organization, which you own',
      description:
        'Unless everybody may sign up here, only owners of an organization can create another one. To act for it: `PUT /v1/sessions/current/organization`.',
      scope: 'me:write',
      headers: OptionalIdempotencyHeadersSchema,
      body: OwnOrganizationNameSchema,
      example: { name: 'Example Ltd.' },
      refusals: [
        'organization_creation_closed',
        'too_many_organizations',
        'idempotency_key_reused',
        'secrets_key_missing',
      ],
      responses: { 201: jsonOf('The organization', OrganizationSchema, { ...REPLAYED, ...LOCATION }) },
    },
    async ({ exchange, headers, body }) => {
      const caller = personOf(exchange);
      const { result, replayed } = await own.create(
        caller,
        body.name,
        headers['Idempotency-Key'],
        exchange.signal,
      );
      const fields = { Location: `${PATH}/${result.id}`, ...(replayed && IS_REPLAYED) };
      return exchange.json(result, 201, fields);
    },
  );

  routes.mount(
    {
      ...ONE,
      method: 'get',
      operationId: 'getOwnOrganization',
      summary: 'Get the organization that you act for',
      scope: 'organization:read',
      responses: { 200: jsonOf('The organization', OrganizationSchema) },
    },
    async ({ exchange, params }) => {
      const { organization } = organizationCallerOf(exchange, params.id);
      return exchange.json(toResource(await organizations.get(organization, exchange.signal)), 200);
    },
  );

  routes.mount(
    {
      ...ONE,
      method: 'patch',
      operationId: 'renameOwnOrganization',
      summary: 'Rename the organization that you act for',
      scope: 'organization:write',
      body: OwnOrganizationNameSchema,
      example: { name: 'Example Ltd.' },
      responses: { 200: jsonOf('The renamed organization', OrganizationSchema) },
    },
    async ({ exchange, params, body }) => {
      const caller = organizationCallerOf(exchange, params.id);
      return exchange.json(await own.rename(caller, body.name, exchange.signal), 200);
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'delete',
      path: '/v1/users/me/organizations/{id}',
      operationId: 'leaveOrganization',
      summary: 'Leave an organization',
      description: 'Whatever your role, but not as its only owner. Keys that you created stay.',
      scope: 'me:write',
      params: AnyOrganizationPathSchema,
      refusals: ['organization_not_found', 'last_owner'],
      responses: { 204: { description: 'You are no member anymore.' } },
    },
    async ({ exchange, params }) => {
      await members.leave(personOf(exchange), params.id, exchange.signal);
      return exchange.empty(204);
    },
  );
}
