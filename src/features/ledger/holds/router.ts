import { z } from '@hono/zod-openapi';
import type { Exchange } from '../../../envelope/exchange.ts';
import { linkNext, NEXT } from '../../../http/cursor.ts';
import { IS_REPLAYED, idempotencyHeadersSchema, REPLAYED } from '../../../http/idempotency.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { pageQuerySchema, UuidSchema } from '../../../http/schemas.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import type { AccountService } from '../accounts/service.ts';
import { ageCursorSchema, toAgeCursor } from '../age-cursor.ts';
import {
  HoldPageSchema,
  HoldPostSchema,
  HoldSchema,
  HoldStateSchema,
  NewHoldSchema,
} from '../hold-schema.ts';
import { TRANSFER_REFUSALS } from '../movement.ts';
import type { RequestIdentity } from '../submit.ts';
import { TransferSchema } from '../transfer-schema.ts';
import type { HoldService } from './service.ts';

const tag = 'Holds';
const CURSOR = 'h';
const paramsOf = (example: string) => z.object({ id: UuidSchema.openapi({ example }) });
const POST = { method: 'post', tag, tier: 'critical', resource: 'ledger', scope: 'transfers:write' } as const;
const GET = { method: 'get', tag, tier: 'default', resource: 'database', scope: 'transfers:read' } as const;
const POST_REFUSALS = ['idempotency_key_in_progress', 'idempotency_key_reused', 'queue_full'] as const;
// The ID of a hold is assigned.
const HOLD_REFUSALS = TRANSFER_REFUSALS.filter((code) => code !== 'transfer_id_taken');
const SETTLED = ['hold_not_found', 'unknown_account', 'hold_expired', 'hold_settled'] as const;

/** Mounts `/v1/holds` and the holds of an account. */
export function mountHolds(routes: RouteTable, holds: HoldService, accounts: AccountService): void {
  mountCreating(routes, holds);
  mountSettling(routes, holds);
  mountReading(routes, holds, accounts);
}

function mountCreating(routes: RouteTable, holds: HoldService): void {
  routes.mount(
    {
      ...POST,
      path: '/v1/holds',
      operationId: 'createHold',
      summary: 'Reserve money of an account',
      description:
        'What a hold reserves is not available to anything else until the hold is posted, voided, or expires. Safe to repeat with the same Idempotency-Key.',
      headers: idempotencyHeadersSchema('order-4713-authorization'),
      body: NewHoldSchema,
      example: {
        debitAccountId: DEMO.alice,
        creditAccountId: DEMO.bob,
        amount: 100,
        expiresInSeconds: 86_400,
        reference: 'Order 4713',
      },
      refusals: [...POST_REFUSALS, 'metadata_too_large', ...HOLD_REFUSALS],
      responses: {
        200: jsonOf('The hold that this request made before', HoldSchema, REPLAYED),
        201: jsonOf('The new hold', HoldSchema, REPLAYED),
      },
    },
    async ({ exchange, headers, body }) => {
      const identity = identityOf(exchange, headers['Idempotency-Key'], '/v1/holds');
      const { result, replayed } = await holds.create(identity, body, exchange);
      return exchange.json(result.hold, result.existed ? 200 : 201, replayed ? IS_REPLAYED : undefined);
    },
  );
}

function mountSettling(routes: RouteTable, holds: HoldService): void {
  routes.mount(
    {
      ...POST,
      path: '/v1/holds/{id}/post',
      operationId: 'postHold',
      summary: 'Post a hold, in full or in part',
      description:
        'Posts a transfer of what the hold has reserved. What is not posted is released, unless `keepRest` is true. A hold past its `expiresAt` is never posted.',
      params: paramsOf(DEMO.hold),
      headers: idempotencyHeadersSchema('order-4713-capture'),
      body: HoldPostSchema,
      example: { amount: 1, keepRest: true, reference: 'Order 4713, first parcel' },
      refusals: [
        ...POST_REFUSALS,
        ...SETTLED,
        'metadata_too_large',
        'hold_amount_exceeded',
        'account_frozen',
        'balance_overflow',
        'balance_limit_exceeded',
        'transfer_id_taken',
      ],
      responses: {
        200: jsonOf('The transfer that this request posted before', TransferSchema, REPLAYED),
        201: jsonOf('The new transfer', TransferSchema, REPLAYED),
      },
    },
    async ({ exchange, headers, params, body }) => {
      const identity = identityOf(exchange, headers['Idempotency-Key'], `/v1/holds/${params.id}/post`);
      const { result, replayed } = await holds.post(identity, params.id, body, exchange);
      return exchange.json(result.transfer, result.existed ? 200 : 201, replayed ? IS_REPLAYED : undefined);
    },
  );

  routes.mount(
    {
      ...POST,
      path: '/v1/holds/{id}/void',
      operationId: 'voidHold',
      summary: 'Void a hold',
      description: 'Releases what the hold still reserves. What was posted stays posted.',
      params: paramsOf(DEMO.spareHold),
      headers: idempotencyHeadersSchema('order-4713-cancel'),
      refusals: [...POST_REFUSALS, ...SETTLED],
      responses: { 200: jsonOf('The voided hold', HoldSchema, REPLAYED) },
    },
    async ({ exchange, headers, params }) => {
      const identity = identityOf(exchange, headers['Idempotency-Key'], `/v1/holds/${params.id}/void`);
      const { result, replayed } = await holds.void(identity, params.id, exchange);
      return exchange.json(result, 200, replayed ? IS_REPLAYED : undefined);
    },
  );
}

function mountReading(routes: RouteTable, holds: HoldService, accounts: AccountService): void {
  routes.mount(
    {
      ...GET,
      path: '/v1/holds/{id}',
      operationId: 'getHold',
      summary: 'Get a hold',
      params: paramsOf(DEMO.hold),
      refusals: ['hold_not_found'],
      responses: { 200: jsonOf('The hold', HoldSchema) },
    },
    async ({ exchange, params }) =>
      exchange.json(await holds.find(exchange.principal!.owner, params.id, exchange.signal), 200),
  );

  routes.mount(
    {
      ...GET,
      path: '/v1/accounts/{id}/holds',
      operationId: 'listAccountHolds',
      summary: 'List the holds of an account, newest first',
      description: 'Those that reserve its money, and those that reserve money for it.',
      params: paramsOf(DEMO.alice),
      query: pageQuerySchema(ageCursorSchema(CURSOR)).extend({
        state: HoldStateSchema.optional().openapi({ description: 'Only holds in this state.' }),
      }),
      refusals: ['account_not_found'],
      compressible: true,
      responses: { 200: jsonOf('A page of holds', HoldPageSchema, NEXT) },
    },
    async ({ request, exchange, params, query }) => {
      const { owner } = exchange.principal!;
      const { state = null, cursor = null, limit } = query;
      const page = await holds.listByAccount(owner, params.id, state, cursor, limit, exchange.signal);
      // Only an empty page needs to check whether the account exists.
      if (page.holds.length === 0) await accounts.find(owner, params.id, exchange);
      const nextCursor = page.next === null ? null : toAgeCursor(CURSOR, page.next);
      return exchange.json({ holds: page.holds, nextCursor }, 200, linkNext(request.url, nextCursor));
    },
  );
}

function identityOf(exchange: Exchange, key: string, path: string): RequestIdentity {
  return { owner: exchange.principal!.owner, key, path };
}
