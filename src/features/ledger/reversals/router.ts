import { z } from '@hono/zod-openapi';
import { AtlasError } from '../../../errors.ts';
import { linkNext, NEXT } from '../../../http/cursor.ts';
import { IS_REPLAYED, idempotencyHeadersSchema, REPLAYED } from '../../../http/idempotency.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { pageQuerySchema, UuidSchema } from '../../../http/schemas.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import { ageCursorSchema, toAgeCursor } from '../age-cursor.ts';
import { FORCE_SCOPE, ReversalSchema } from '../reversal-schema.ts';
import { TransferPageSchema, TransferSchema } from '../transfer-schema.ts';
import type { ReversalService } from './service.ts';

const tag = 'Transfers';
const CURSOR = 'r';
const IdSchema = z.object({ id: UuidSchema.openapi({ example: DEMO.transfer }) });

/** Mounts the reversals of a transfer. */
export function mountReversals(routes: RouteTable, reversals: ReversalService): void {
  routes.mount(
    {
      method: 'post',
      path: '/v1/transfers/{id}/reverse',
      operationId: 'reverseTransfer',
      summary: 'Reverse a transfer, in full or in part',
      description:
        'Posts a transfer in the other direction. Reversals never add up to more than the transfer. Only the organization that was paid can reverse a transfer.',
      tag,
      tier: 'critical',
      resource: 'ledger',
      scope: 'transfers:write',
      params: IdSchema,
      headers: idempotencyHeadersSchema('order-4711-refund'),
      body: ReversalSchema,
      example: { amount: 1, reference: 'Refund of invoice 4711' },
      refusals: [
        'idempotency_key_in_progress',
        'idempotency_key_reused',
        'metadata_too_large',
        'queue_full',
        'transfer_not_found',
        'unknown_account',
        'already_reversed',
        'reversal_exceeds_transfer',
        'account_frozen',
        'account_closed',
        'insufficient_funds',
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
      const { owner, scopes } = exchange.principal!;
      if (body.force && !scopes.includes(FORCE_SCOPE))
        throw new AtlasError('forbidden', `With \`force\`, this route requires the scope ${FORCE_SCOPE}.`);
      const path = `/v1/transfers/${params.id}/reverse`;
      const identity = { owner, key: headers['Idempotency-Key'], path };
      const { result, replayed } = await reversals.reverse(identity, params.id, body, exchange);
      return exchange.json(result.transfer, result.existed ? 200 : 201, replayed ? IS_REPLAYED : undefined);
    },
  );

  routes.mount(
    {
      method: 'get',
      path: '/v1/transfers/{id}/reversals',
      operationId: 'listReversals',
      summary: 'List the reversals of a transfer, oldest first',
      tag,
      tier: 'default',
      resource: 'database',
      scope: 'transfers:read',
      params: IdSchema,
      query: pageQuerySchema(ageCursorSchema(CURSOR)),
      refusals: ['transfer_not_found'],
      compressible: true,
      responses: { 200: jsonOf('A page of transfers', TransferPageSchema, NEXT) },
    },
    async ({ request, exchange, params, query }) => {
      const { cursor = null, limit } = query;
      const { owner } = exchange.principal!;
      const { transfers, next } = await reversals.list(owner, params.id, cursor, limit, exchange.signal);
      const nextCursor = next === null ? null : toAgeCursor(CURSOR, next);
      return exchange.json({ transfers, nextCursor }, 200, linkNext(request.url, nextCursor));
    },
  );
}
