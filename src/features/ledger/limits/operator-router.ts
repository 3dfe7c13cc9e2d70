import { z } from '@hono/zod-openapi';
import { linkNext, NEXT } from '../../../http/cursor.ts';
import { expectedVersions } from '../../../http/etag.ts';
import { OptionalIdempotencyHeadersSchema, REPLAYED, replayedFields } from '../../../http/idempotency.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { pageQuerySchema, textSchema, UuidSchema } from '../../../http/schemas.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import { actorOf } from '../../actor.ts';
import { ageCursorSchema, toAgeCursor } from '../age-cursor.ts';
import {
  ETAG,
  LIMIT_CURSOR,
  respondWithLimit,
  toNewLimit,
  toResource,
  WRITE_REFUSALS,
} from '../limit-resource.ts';
import {
  LimitChangeHeadersSchema,
  LimitChangeSchema,
  LimitPageSchema,
  LimitSchema,
  NewLimitSchema,
} from '../limit-schemas.ts';
import type { LimitService } from './service.ts';

const COMMON = { tag: 'Operators', tier: 'default', resource: 'database' } as const;
const PATH = '/v1/operator/organizations/{id}/limits';
const ONE = `${PATH}/{limitId}` as const;
// As much as a URL should have. Organizations are named by text of any length.
const OrganizationSchema = textSchema(1000).openapi({ example: DEMO.owner });
const ParamsSchema = z.object({ id: OrganizationSchema });
const oneOf = (example: string) => ParamsSchema.extend({ limitId: UuidSchema.openapi({ example }) });
const writerOf = (owner: string) => ({ owner, isOperator: true });

/** Mounts the limits of an organization for operators, who can set some that it cannot remove. */
export function mountOperatorLimits(routes: RouteTable, limits: LimitService): void {
  mountAll(routes, limits);
  mountOne(routes, limits);
}

function mountAll(routes: RouteTable, limits: LimitService): void {
  routes.mount(
    {
      ...COMMON,
      method: 'post',
      path: PATH,
      operationId: 'createOrganizationLimit',
      summary: 'Limit what an organization pays or is paid',
      description: 'The organization sees the limit, and cannot change or delete it.',
      scope: 'operator:write',
      params: ParamsSchema,
      headers: OptionalIdempotencyHeadersSchema,
      body: NewLimitSchema,
      example: { name: 'Payouts', ledger: 'EUR', accountIds: [DEMO.bob], maxima: { dayCount: 5_000_000 } },
      refusals: [...WRITE_REFUSALS, 'organization_not_found', 'idempotency_key_reused'],
      responses: { 201: jsonOf('The new limit', LimitSchema, { ...ETAG, ...REPLAYED }) },
    },
    async ({ exchange, params, headers, body }) => {
      await limits.requireOrganization(params.id, exchange.signal);
      const { limit, replayed } = await limits.create(
        writerOf(params.id),
        toNewLimit(body),
        actorOf(exchange),
        exchange.signal,
        headers['Idempotency-Key'],
      );
      return respondWithLimit(exchange, limit, 201, replayedFields(replayed));
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'get',
      path: PATH,
      operationId: 'listOrganizationLimits',
      summary: 'List the limits of an organization, oldest first',
      scope: 'operator:read',
      params: ParamsSchema,
      query: pageQuerySchema(ageCursorSchema(LIMIT_CURSOR)),
      refusals: ['organization_not_found'],
      compressible: true,
      responses: { 200: jsonOf('A page of limits', LimitPageSchema, NEXT) },
    },
    async ({ request, exchange, params, query }) => {
      await limits.requireOrganization(params.id, exchange.signal);
      const page = await limits.list(params.id, query.cursor ?? null, query.limit, exchange.signal);
      const nextCursor = page.next === null ? null : toAgeCursor(LIMIT_CURSOR, page.next);
      const list = { limits: page.limits.map(toResource), nextCursor };
      return exchange.json(list, 200, linkNext(request.url, nextCursor));
    },
  );
}

function mountOne(routes: RouteTable, limits: LimitService): void {
  routes.mount(
    {
      ...COMMON,
      method: 'get',
      path: ONE,
      operationId: 'getOrganizationLimit',
      summary: 'Get a limit of an organization, with what is used of it',
      scope: 'operator:read',
      params: oneOf(DEMO.limit),
      refusals: ['limit_not_found'],
      compressible: true,
      responses: { 200: jsonOf('The limit', LimitSchema, ETAG) },
    },
    async ({ exchange, params }) =>
      respondWithLimit(exchange, await limits.find(params.id, params.limitId, exchange.signal)),
  );

  routes.mount(
    {
      ...COMMON,
      method: 'patch',
      path: ONE,
      operationId: 'changeOrganizationLimit',
      summary: 'Change a limit of an organization',
      description: 'If-Match must contain the ETag you read.',
      scope: 'operator:write',
      params: oneOf(DEMO.limit),
      headers: LimitChangeHeadersSchema,
      body: LimitChangeSchema,
      example: { maxima: { hourCount: 6000 } },
      refusals: [...WRITE_REFUSALS, 'limit_not_found', 'precondition_failed', 'precondition_required'],
      responses: { 200: jsonOf('The updated limit', LimitSchema, ETAG) },
    },
    async ({ exchange, params, headers, body }) => {
      const expected = expectedVersions(headers['If-Match']);
      const { id, limitId } = params;
      const actor = actorOf(exchange);
      return respondWithLimit(
        exchange,
        await limits.change(writerOf(id), limitId, expected, body, actor, exchange.signal),
      );
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'delete',
      path: ONE,
      operationId: 'deleteOrganizationLimit',
      summary: 'Delete a limit of an organization',
      scope: 'operator:write',
      params: oneOf(DEMO.operatorLimit),
      refusals: ['limit_not_found'],
      responses: { 204: { description: 'The limit no longer applies' } },
    },
    async ({ exchange, params }) => {
      await limits.remove(writerOf(params.id), params.limitId, actorOf(exchange), exchange.signal);
      return exchange.empty(204);
    },
  );
}
