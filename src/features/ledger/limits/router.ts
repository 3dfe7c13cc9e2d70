import { z } from '@hono/zod-openapi';
import type { Exchange } from '../../../envelope/exchange.ts';
import { linkNext, NEXT } from '../../../http/cursor.ts';
import { expectedVersions } from '../../../http/etag.ts';
import { OptionalIdempotencyHeadersSchema, REPLAYED, replayedFields } from '../../../http/idempotency.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { pageQuerySchema, UuidSchema } from '../../../http/schemas.ts';
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

const COMMON = { tag: 'Limits', tier: 'default', resource: 'database' } as const;
const PATH = '/v1/limits/{id}';
const paramsOf = (example: string) => z.object({ id: UuidSchema.openapi({ example }) });
const writerOf = (exchange: Exchange) => ({ owner: exchange.principal!.owner, isOperator: false });

/** Mounts `/v1/limits`. */
export function mountLimits(routes: RouteTable, limits: LimitService): void {
  mountChanges(routes, limits);
  mountReading(routes, limits);
}

function mountChanges(routes: RouteTable, limits: LimitService): void {
  routes.mount(
    {
      ...COMMON,
      method: 'post',
      path: '/v1/limits',
      operationId: 'createLimit',
      summary: 'Limit what accounts pay or are paid',
      description:
        'Applies to every transfer and hold that is posted once this has returned, and counts from then on. Hours and days are those of UTC.',
      scope: 'accounts:write',
      headers: OptionalIdempotencyHeadersSchema,
      body: NewLimitSchema,
      example: {
        name: 'Daily payouts of Alice',
        ledger: 'EUR',
        accountIds: [DEMO.alice],
        maxima: { transferAmount: 9_000_000_000_000, dayAmount: 9_000_000_000_000_000 },
      },
      refusals: [...WRITE_REFUSALS, 'idempotency_key_reused'],
      responses: { 201: jsonOf('The new limit', LimitSchema, { ...ETAG, ...REPLAYED }) },
    },
    async ({ exchange, headers, body }) => {
      const { limit, replayed } = await limits.create(
        writerOf(exchange),
        toNewLimit(body),
        actorOf(exchange),
        exchange.signal,
        headers['Idempotency-Key'],
      );
      const fields = { Location: `/v1/limits/${limit.id}`, ...replayedFields(replayed) };
      return respondWithLimit(exchange, limit, 201, fields);
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'patch',
      path: PATH,
      operationId: 'changeLimit',
      summary: 'Change a limit',
      description:
        'Its name, some of its maxima, or its accounts. What is used stays: a maximum below it lets nothing pass until the hour or day is over. If-Match must contain the ETag you read.',
      scope: 'accounts:write',
      params: paramsOf(DEMO.limit),
      headers: LimitChangeHeadersSchema,
      body: LimitChangeSchema,
      example: { maxima: { dayCount: 5000 } },
      refusals: [
        ...WRITE_REFUSALS,
        'limit_not_found',
        'limit_of_operator',
        'precondition_failed',
        'precondition_required',
      ],
      responses: { 200: jsonOf('The updated limit', LimitSchema, ETAG) },
    },
    async ({ exchange, params, headers, body }) => {
      const expected = expectedVersions(headers['If-Match']);
      const actor = actorOf(exchange);
      return respondWithLimit(
        exchange,
        await limits.change(writerOf(exchange), params.id, expected, body, actor, exchange.signal),
      );
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'delete',
      path: PATH,
      operationId: 'deleteLimit',
      summary: 'Delete a limit',
      scope: 'accounts:write',
      params: paramsOf(DEMO.spareLimit),
      refusals: ['limit_not_found', 'limit_of_operator'],
      responses: { 204: { description: 'The limit no longer applies' } },
    },
    async ({ exchange, params }) => {
      await limits.remove(writerOf(exchange), params.id, actorOf(exchange), exchange.signal);
      return exchange.empty(204);
    },
  );
}

function mountReading(routes: RouteTable, limits: LimitService): void {
  routes.mount(
    {
      ...COMMON,
      method: 'get',
      path: '/v1/limits',
      operationId: 'listLimits',
      summary: 'List limits, oldest first',
      description: 'Those of your organization, and those that operators have set for it.',
      scope: 'accounts:read',
      query: pageQuerySchema(ageCursorSchema(LIMIT_CURSOR)),
      compressible: true,
      responses: { 200: jsonOf('A page of limits', LimitPageSchema, NEXT) },
    },
    async ({ request, exchange, query }) => {
      const { owner } = exchange.principal!;
      const page = await limits.list(owner, query.cursor ?? null, query.limit, exchange.signal);
      const nextCursor = page.next === null ? null : toAgeCursor(LIMIT_CURSOR, page.next);
      const list = { limits: page.limits.map(toResource), nextCursor };
      return exchange.json(list, 200, linkNext(request.url, nextCursor));
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'get',
      path: PATH,
      operationId: 'getLimit',
      summary: 'Get a limit, with what is used of it',
      scope: 'accounts:read',
      params: paramsOf(DEMO.limit),
      refusals: ['limit_not_found'],
      compressible: true,
      responses: { 200: jsonOf('The limit', LimitSchema, ETAG) },
    },
    async ({ exchange, params }) =>
      respondWithLimit(exchange, await limits.find(exchange.principal!.owner, params.id, exchange.signal)),
  );
}
