import { cursorSchema, linkNext, NEXT } from '../../../http/cursor.ts';
import { OptionalIdempotencyHeadersSchema, REPLAYED, replayedFields } from '../../../http/idempotency.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { pageQuerySchema } from '../../../http/schemas.ts';
import { actorOf } from '../../actor.ts';
import { toResource } from './organization-resource.ts';
import {
  NewOrganizationIdSchema,
  OrganizationNameSchema,
  OrganizationPageSchema,
  OrganizationPathSchema,
  OrganizationSchema,
} from './schemas.ts';
import type { OrganizationService } from './service.ts';

const COMMON = { tag: 'Operators', tier: 'default', resource: 'database' } as const;
const PATH = '/v1/operator/organizations/{id}';
const ONE = { ...COMMON, params: OrganizationPathSchema, refusals: ['organization_not_found'] } as const;

// The bytes of the ID in hexadecimal digits. The letter keeps the cursors of different lists apart.
const CursorSchema = cursorSchema(/^n(?:[0-9a-f]{2}){1,4000}$/, (text) =>
  Buffer.from(text.slice(1), 'hex').toString().replaceAll('\0', ''),
);
const toCursor = (id: string) => `n${Buffer.from(id).toString('hex')}`;

/** Mounts `/v1/operator/organizations`. */
export function mountOrganizations(routes: RouteTable, organizations: OrganizationService): void {
  routes.mount(
    {
      ...COMMON,
      method: 'get',
      path: '/v1/operator/organizations',
      operationId: 'listOrganizations',
      summary: 'List all organizations',
      description: 'By ID.',
      scope: 'operator:read',
      query: pageQuerySchema(CursorSchema),
      compressible: true,
      responses: { 200: jsonOf('A page of organizations', OrganizationPageSchema, NEXT) },
    },
    async ({ request, exchange, query }) => {
      const page = await organizations.list(query.cursor ?? null, query.limit, exchange.signal);
      const nextCursor = page.nextId === null ? null : toCursor(page.nextId);
      const list = { organizations: page.organizations.map(toResource), nextCursor };
      return exchange.json(list, 200, linkNext(request.url, nextCursor));
    },
  );

  routes.mount(
    {
      ...ONE,
      method: 'get',
      path: PATH,
      operationId: 'getOrganization',
      summary: 'Get an organization',
      scope: 'operator:read',
      responses: { 200: jsonOf('The organization', OrganizationSchema) },
    },
    async ({ exchange, params }) =>
      exchange.json(toResource(await organizations.get(params.id, exchange.signal)), 200),
  );

  routes.mount(
    {
      ...COMMON,
      method: 'put',
      path: PATH,
      operationId: 'saveOrganization',
      summary: 'Create or rename an organization',
      description:
        'An organization is also created with its first key. IDs of new ones are not blank, do not begin or end with a space, and contain neither `~` nor control characters.',
      scope: 'operator:write',
      params: NewOrganizationIdSchema,
      headers: OptionalIdempotencyHeadersSchema,
      body: OrganizationNameSchema,
      example: { name: 'Example Ltd.' },
      refusals: ['organization_not_found', 'idempotency_key_reused'],
      responses: {
        200: jsonOf('The renamed organization', OrganizationSchema, REPLAYED),
        201: jsonOf('The created organization', OrganizationSchema, REPLAYED),
      },
    },
    async ({ exchange, params, headers, body }) => {
      const { result, replayed } = await organizations.save(
        params.id,
        body.name,
        actorOf(exchange),
        exchange.signal,
        headers['Idempotency-Key'],
      );
      return exchange.json(toResource(result), result.isNew ? 201 : 200, replayedFields(replayed));
    },
  );

  routes.mount(
    {
      ...ONE,
      method: 'put',
      path: `${PATH}/suspension`,
      operationId: 'suspendOrganization',
      summary: 'Suspend an organization',
      description:
        'All of its keys get 403 `organization_suspended` within 5 seconds. Its data stays, and its webhooks and links go on working. Suspending it again changes nothing.',
      scope: 'operator:write',
      headers: OptionalIdempotencyHeadersSchema,
      refusals: ['organization_not_found', 'idempotency_key_reused'],
      responses: { 200: jsonOf('The suspended organization', OrganizationSchema, REPLAYED) },
    },
    async ({ exchange, params, headers }) => {
      const { result, replayed } = await organizations.suspend(
        params.id,
        actorOf(exchange),
        exchange.signal,
        headers['Idempotency-Key'],
      );
      return exchange.json(toResource(result), 200, replayedFields(replayed));
    },
  );

  routes.mount(
    {
      ...ONE,
      method: 'delete',
      path: `${PATH}/suspension`,
      operationId: 'reinstateOrganization',
      summary: 'Reinstate an organization',
      description: 'Its keys work again within 5 seconds.',
      scope: 'operator:write',
      responses: { 200: jsonOf('The organization', OrganizationSchema) },
    },
    async ({ exchange, params }) =>
      exchange.json(
        toResource(await organizations.reinstate(params.id, actorOf(exchange), exchange.signal)),
        200,
      ),
  );
}
