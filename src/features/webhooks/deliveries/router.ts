import { z } from '@hono/zod-openapi';
import { cursorSchema, linkNext, NEXT } from '../../../http/cursor.ts';
import { OptionalIdempotencyHeadersSchema, REPLAYED, replayedFields } from '../../../http/idempotency.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { pageQuerySchema, UuidSchema } from '../../../http/schemas.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import {
  DeliveryDetailSchema,
  DeliveryPageSchema,
  DeliverySchema,
  ReplayedSchema,
  ReplaySchema,
  StateQuerySchema,
} from './schemas.ts';
import type { DeliveryService } from './service.ts';

const tag = 'Webhooks';
const WebhookIdSchema = z.object({ id: UuidSchema.openapi({ example: DEMO.webhook }) });
const DeliveryIdSchema = WebhookIdSchema.extend({
  deliveryId: UuidSchema.openapi({ example: DEMO.delivery }),
});
// The prefix distinguishes the cursors of this list from those of others.
const CursorSchema = cursorSchema(/^d[0-9a-f]{32}$/, (text) => text.slice(1));
const COMMON = { tag, tier: 'default', resource: 'database', refusals: ['webhook_not_found'] } as const;

/** The deliveries of a webhook, under `/v1/webhooks/{id}`. */
export function mountDeliveries(routes: RouteTable, deliveries: DeliveryService): void {
  mountDeliveryRecords(routes, deliveries);
  mountReplays(routes, deliveries);
  mountTest(routes, deliveries);
}

function mountDeliveryRecords(routes: RouteTable, deliveries: DeliveryService): void {
  routes.mount(
    {
      ...COMMON,
      method: 'get',
      path: '/v1/webhooks/{id}/deliveries',
      operationId: 'listWebhookDeliveries',
      summary: 'List the deliveries of a webhook, newest first',
      description: 'Deliveries are retained for 30 days, or as the operator has set it.',
      scope: 'webhooks:read',
      params: WebhookIdSchema,
      query: pageQuerySchema(CursorSchema).extend({ state: StateQuerySchema }),
      compressible: true,
      responses: { 200: jsonOf('A page of deliveries', DeliveryPageSchema, NEXT) },
    },
    async ({ request, exchange, params, query }) => {
      const { state = null, cursor = null, limit } = query;
      const { owner } = exchange.principal!;
      const page = await deliveries.list(owner, params.id, state, cursor, limit, exchange.signal);
      const nextCursor = page.nextId === null ? null : `d${page.nextId.replaceAll('-', '')}`;
      const list = { deliveries: page.deliveries, nextCursor };
      return exchange.json(list, 200, linkNext(request.url, nextCursor));
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'get',
      path: '/v1/webhooks/{id}/deliveries/{deliveryId}',
      operationId: 'getWebhookDelivery',
      summary: 'Get a delivery with its body and attempts',
      scope: 'webhooks:read',
      params: DeliveryIdSchema,
      refusals: ['webhook_not_found', 'delivery_not_found'],
      responses: { 200: jsonOf('The delivery', DeliveryDetailSchema) },
    },
    async ({ exchange, params }) => {
      const { owner } = exchange.principal!;
      const found = await deliveries.find(owner, params.id, params.deliveryId, exchange.signal);
      return exchange.json({ ...found.delivery, body: found.body, attempts: found.attempts }, 200);
    },
  );
}

function mountReplays(routes: RouteTable, deliveries: DeliveryService): void {
  routes.mount(
    {
      ...COMMON,
      method: 'post',
      path: '/v1/webhooks/{id}/deliveries/{deliveryId}/replay',
      operationId: 'replayWebhookDelivery',
      summary: 'Send a delivery again',
      description:
        'Works in any state and keeps the webhook-id. Failed attempts are retried as for a new delivery.',
      scope: 'webhooks:write',
      params: DeliveryIdSchema,
      headers: OptionalIdempotencyHeadersSchema,
      refusals: ['webhook_not_found', 'delivery_not_found', 'idempotency_key_reused'],
      responses: { 202: jsonOf('The delivery, now pending', DeliverySchema, REPLAYED) },
    },
    async ({ exchange, params, headers }) => {
      const { owner } = exchange.principal!;
      const { result, replayed } = await deliveries.replay(
        owner,
        params.id,
        params.deliveryId,
        exchange.signal,
        headers['Idempotency-Key'],
      );
      return exchange.json(result, 202, replayedFields(replayed));
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'post',
      path: '/v1/webhooks/{id}/replay',
      operationId: 'replayWebhookEvents',
      refusals: ['webhook_not_found', 'events_expired'],
      summary: 'Send past events that were not delivered',
      description:
        'Up to 1,000 events or about 1 MiB per call, oldest first: continue with `nextPosition` as `afterPosition`. ' +
        'Includes events from before the webhook was created. Safe to repeat.',
      scope: 'webhooks:write',
      params: WebhookIdSchema,
      body: ReplaySchema,
      example: { afterPosition: '0' },
      responses: { 202: jsonOf('The result of the replay', ReplayedSchema) },
    },
    async ({ exchange, params, body }) => {
      const { since, afterPosition } = body;
      const start = typeof since === 'string' ? { since } : { afterPosition: Number(afterPosition) };
      const { owner } = exchange.principal!;
      const replayed = await deliveries.replayEvents(
        owner,
        params.id,
        start,
        body.includeDelivered ?? false,
        exchange.signal,
      );
      const nextPosition = replayed.nextPosition === null ? null : String(replayed.nextPosition);
      return exchange.json({ deliveries: replayed.deliveries, nextPosition }, 202);
    },
  );
}

function mountTest(routes: RouteTable, deliveries: DeliveryService): void {
  routes.mount(
    {
      ...COMMON,
      method: 'post',
      path: '/v1/webhooks/{id}/test',
      operationId: 'testWebhook',
      summary: 'Send a test event to a webhook',
      description:
        'Sends an event of type `webhook.test.v1`, with a single attempt. Read the delivery for the result.',
      scope: 'webhooks:write',
      params: WebhookIdSchema,
      headers: OptionalIdempotencyHeadersSchema,
      refusals: ['webhook_not_found', 'idempotency_key_reused'],
      responses: { 202: jsonOf('The delivery, now pending', DeliverySchema, REPLAYED) },
    },
    async ({ exchange, params, headers }) => {
      const { result, replayed } = await deliveries.sendTest(
        exchange.principal!.owner,
        params.id,
        exchange.signal,
        headers['Idempotency-Key'],
      );
      return exchange.json(result, 202, replayedFields(replayed));
    },
  );
}
