import { z } from '@hono/zod-openapi';
import { cursorSchema, linkNext, NEXT, toHex } from '../../../http/cursor.ts';
import { IS_REPLAYED, idempotencyHeadersSchema, REPLAYED } from '../../../http/idempotency.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { pageQuerySchema, UuidSchema } from '../../../http/schemas.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import type { AccountService } from '../accounts/service.ts';
import { type ItemResult, TRANSFER_REFUSALS } from '../movement.ts';
import { refusalDetail } from '../refusal-detail.ts';
import { NewTransferSchema, TransferPageSchema, TransferSchema } from '../transfer-schema.ts';
import { NewTransferBatchSchema, TransferBatchResultSchema } from './schemas.ts';
import type { TransferService } from './service.ts';

const tag = 'Transfers';
// The letter keeps the cursors of different lists apart.
const CursorSchema = cursorSchema(/^v[0-9a-f]{12}$/, (text) => Number.parseInt(text.slice(1), 16));

const POST_REFUSALS = [
  'idempotency_key_in_progress',
  'idempotency_key_reused',
  'metadata_too_large',
  'effective_at_not_allowed',
  'queue_full',
] as const;

const ALICE_TO_BOB = { debitAccountId: DEMO.alice, creditAccountId: DEMO.bob };

const POST = {
  method: 'post',
  tag,
  tier: 'critical',
  resource: 'ledger',
  scope: 'transfers:write',
} as const;
const GET = {
  method: 'get',
  tag,
  tier: 'default',
  resource: 'database',
  scope: 'transfers:read',
} as const;

/** Mounts `/v1/transfers` and the transfers of an account. */
export function mountTransfers(
  routes: RouteTable,
  transfers: TransferService,
  accounts: AccountService,
): void {
  mountPosting(routes, transfers);
  mountReading(routes, transfers, accounts);
}

function mountPosting(routes: RouteTable, transfers: TransferService): void {
  routes.mount(
    {
      ...POST,
      path: '/v1/transfers',
      operationId: 'postTransfer',
      summary: 'Post a transfer between two accounts',
      description: 'Changes both accounts in one transaction. Safe to repeat with the same Idempotency-Key.',
      headers: idempotencyHeadersSchema('order-4711-payment'),
      body: NewTransferSchema,
      example: { ...ALICE_TO_BOB, amount: 1250, reference: 'Invoice 4711', metadata: { order: '4711' } },
      refusals: [...POST_REFUSALS, ...TRANSFER_REFUSALS],
      responses: {
        200: jsonOf('The existing transfer with this ID and content', TransferSchema, REPLAYED),
        201: jsonOf('The new transfer', TransferSchema, REPLAYED),
      },
    },
    async ({ exchange, headers, body }) => {
      const identity = {
        owner: exchange.principal!.owner,
        key: headers['Idempotency-Key'],
        path: '/v1/transfers',
      };
      const { result, replayed } = await transfers.post(identity, body, exchange);
      return exchange.json(result.transfer, result.existed ? 200 : 201, replayed ? IS_REPLAYED : undefined);
    },
  );

  routes.mount(
    {
      ...POST,
      path: '/v1/transfers/batch',
      operationId: 'postTransferBatch',
      summary: 'Post up to 1,000 transfers in order',
      description:
        'One key covers the whole batch. Each transfer has a result; with `atomic`, either all are posted or none.',
      headers: idempotencyHeadersSchema('order-4712-payments'),
      body: NewTransferBatchSchema,
      example: {
        transfers: [
          { ...ALICE_TO_BOB, amount: 500, reference: 'Invoice 4712' },
          { ...ALICE_TO_BOB, amount: 20, reference: 'Fee' },
        ],
        atomic: true,
      },
      refusals: [...POST_REFUSALS, 'batch_refused'],
      compressible: true,
      responses: { 200: jsonOf('One result per transfer', TransferBatchResultSchema, REPLAYED) },
    },
    async ({ exchange, headers, body }) => {
      const identity = {
        owner: exchange.principal!.owner,
        key: headers['Idempotency-Key'],
        path: '/v1/transfers/batch',
      };
      const { result, replayed } = await transfers.postBatch(
        identity,
        body.transfers,
        body.atomic ?? false,
        exchange,
      );
      exchange.refusedItems = countRefused(result);
      return exchange.json({ results: result.map(toItem) }, 200, replayed ? IS_REPLAYED : undefined);
    },
  );
}

function mountReading(routes: RouteTable, transfers: TransferService, accounts: AccountService): void {
  routes.mount(
    {
      ...GET,
      path: '/v1/transfers/{id}',
      operationId: 'getTransfer',
      summary: 'Get a transfer',
      params: z.object({ id: UuidSchema.openapi({ example: DEMO.transfer }) }),
      refusals: ['transfer_not_found'],
      responses: { 200: jsonOf('The transfer', TransferSchema) },
    },
    async ({ exchange, params }) =>
      exchange.json(await transfers.find(exchange.principal!.owner, params.id, exchange), 200),
  );

  routes.mount(
    {
      ...GET,
      path: '/v1/accounts/{id}/transfers',
      operationId: 'listAccountTransfers',
      summary: 'List the transfers of an account, newest first',
      params: z.object({ id: UuidSchema.openapi({ example: DEMO.alice }) }),
      query: pageQuerySchema(CursorSchema),
      refusals: ['account_not_found'],
      compressible: true,
      responses: { 200: jsonOf('A page of transfers', TransferPageSchema, NEXT) },
    },
    async ({ request, exchange, params, query }) => {
      const { owner } = exchange.principal!;
      const page = await transfers.listByAccount(
        owner,
        params.id,
        query.cursor ?? null,
        query.limit,
        exchange.signal,
      );
      // Only an empty page needs to check whether the account exists.
      if (page.transfers.length === 0) await accounts.find(owner, params.id, exchange);
      const nextCursor = page.nextVersion === null ? null : `v${toHex(page.nextVersion, 12)}`;
      const list = { transfers: page.transfers, nextCursor };
      return exchange.json(list, 200, linkNext(request.url, nextCursor));
    },
  );
}

/** Returns how many items were refused, by code; null if none was. */
function countRefused(items: readonly ItemResult[]): Record<string, number> | null {
  let counts: Record<string, number> | null = null;
  for (const { outcome, transfer } of items) {
    if (transfer !== null) continue;
    counts ??= {};
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
  return counts;
}

function toItem(item: ItemResult) {
  const { outcome, id, transfer, limit } = item;
  if (transfer !== null) return { status: outcome === 'exists' ? 'exists' : 'posted', id, transfer };
  return { status: 'refused', id, code: outcome, detail: refusalDetail(item), ...(limit && { limit }) };
}
