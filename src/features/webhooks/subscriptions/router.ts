import { z } from '@hono/zod-openapi';
import type { Exchange } from '../../../envelope/exchange.ts';
import type { Fields } from '../../../envelope/response-headers.ts';
import { cursorSchema, linkNext, NEXT } from '../../../http/cursor.ts';
import { etagOf, expectedVersions } from '../../../http/etag.ts';
import { OptionalIdempotencyHeadersSchema, REPLAYED, replayedFields } from '../../../http/idempotency.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { pageQuerySchema, UuidSchema } from '../../../http/schemas.ts';
import { DEMO, DEMO_URL } from '../../../utils/demo-data.ts';
import { actorOf } from '../../actor.ts';
import type { Webhook } from './domain.ts';
import {
  IfMatchHeadersSchema,
  NewWebhookResponseSchema,
  newWebhookSchema,
  WebhookPageSchema,
  WebhookSchema,
  webhookChangeSchema,
} from './schemas.ts';
import type { WebhookService } from './service.ts';

const tag = 'Webhooks';
const ETAG = {
  ETag: { description: 'The version of the webhook, for If-Match', schema: { type: 'string' } },
};
const IdSchema = z.object({ id: UuidSchema.openapi({ example: DEMO.webhook }) });
// The prefix distinguishes the cursors of this list from those of others.
const CursorSchema = cursorSchema(/^w[0-9a-f]{32}$/, (text) => text.slice(1));
const COMMON = { tag, tier: 'default', resource: 'database' } as const;
// No resource: these resolve a host name first, and that latency must not affect the limit of the database.
const CHECKED = { tag, tier: 'default' } as const;

/** `/v1/webhooks`, except for deliveries. */
export function mountWebhooks(
  routes: RouteTable,
  webhooks: WebhookService,
  eventTypes: readonly [string, ...string[]],
): void {
  mountCreation(routes, webhooks, eventTypes);
  mountReading(routes, webhooks);
  mountChanges(routes, webhooks, eventTypes);
  mountSecret(routes, webhooks);
}

function mountCreation(
  routes: RouteTable,
  webhooks: WebhookService,
  eventTypes: readonly [string, ...string[]],
): void {
  routes.mount(
    {
      ...CHECKED,
      method: 'post',
      path: '/v1/webhooks',
      operationId: 'createWebhook',
      summary: 'Create a webhook',
      description:
        'Your future events are posted to the URL, signed according to Standard Webhooks. ' +
        'The response contains the secret, which is not shown again, except to a retry with the same Idempotency-Key.',
      scope: 'webhooks:write',
      headers: OptionalIdempotencyHeadersSchema,
      body: newWebhookSchema(eventTypes),
      example: {
        url: DEMO_URL,
        eventTypes: ['account.debited.v1', 'account.credited.v1'],
        description: 'Bookkeeping',
      },
      refusals: [
        'webhook_target_refused',
        'too_many_webhooks',
        'secrets_key_missing',
        'idempotency_key_reused',
      ],
      responses: {
        201: jsonOf('The webhook, with its secret', NewWebhookResponseSchema, { ...ETAG, ...REPLAYED }),
      },
    },
    async ({ exchange, headers, body }) => {
      const { result, replayed } = await webhooks.create(
        exchange.principal!.owner,
        { url: body.url, eventTypes: body.eventTypes ?? null, description: body.description ?? null },
        actorOf(exchange),
        exchange.signal,
        headers['Idempotency-Key'],
      );
      const { webhook, secret } = result;
      const fields = { Location: `/v1/webhooks/${webhook.id}`, ...replayedFields(replayed) };
      return respond(exchange, webhook, 201, { secret }, fields);
    },
  );
}

function mountReading(routes: RouteTable, webhooks: WebhookService): void {
  routes.mount(
    {
      ...COMMON,
      method: 'get',
      path: '/v1/webhooks',
      operationId: 'listWebhooks',
      summary: 'List your webhooks, oldest first',
      scope: 'webhooks:read',
      query: pageQuerySchema(CursorSchema),
      compressible: true,
      responses: { 200: jsonOf('A page of webhooks', WebhookPageSchema, NEXT) },
    },
    async ({ request, exchange, query }) => {
      const { owner } = exchange.principal!;
      const page = await webhooks.list(owner, query.cursor ?? null, query.limit, exchange.signal);
      const nextCursor = page.nextId === null ? null : `w${page.nextId.replaceAll('-', '')}`;
      const list = { webhooks: page.webhooks.map(toResource), nextCursor };
      return exchange.json(list, 200, linkNext(request.url, nextCursor));
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'get',
      path: '/v1/webhooks/{id}',
      operationId: 'getWebhook',
      summary: 'Get a webhook',
      scope: 'webhooks:read',
      params: IdSchema,
      refusals: ['webhook_not_found'],
      responses: { 200: jsonOf('The webhook', WebhookSchema, ETAG) },
    },
    async ({ exchange, params }) =>
      respond(exchange, await webhooks.find(exchange.principal!.owner, params.id, exchange.signal), 200),
  );
}

function mountChanges(
  routes: RouteTable,
  webhooks: WebhookService,
  eventTypes: readonly [string, ...string[]],
): void {
  routes.mount(
    {
      ...CHECKED,
      method: 'patch',
      path: '/v1/webhooks/{id}',
      operationId: 'changeWebhook',
      summary: 'Change, disable, or enable a webhook',
      description: 'Updates only the members sent. If-Match must contain the ETag you read.',
      scope: 'webhooks:write',
      params: IdSchema,
      headers: IfMatchHeadersSchema,
      body: webhookChangeSchema(eventTypes),
      example: { description: 'Bookkeeping, paused', enabled: false },
      refusals: [
        'webhook_not_found',
        'webhook_target_refused',
        'precondition_failed',
        'precondition_required',
      ],
      responses: { 200: jsonOf('The updated webhook', WebhookSchema, ETAG) },
    },
    async ({ exchange, params, headers, body }) => {
      const expected = expectedVersions(headers['If-Match']);
      const { owner } = exchange.principal!;
      return respond(
        exchange,
        await webhooks.change(owner, params.id, expected, body, actorOf(exchange), exchange.signal),
        200,
      );
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'delete',
      path: '/v1/webhooks/{id}',
      operationId: 'deleteWebhook',
      summary: 'Delete a webhook and its deliveries',
      scope: 'webhooks:write',
      params: z.object({ id: UuidSchema.openapi({ example: DEMO.spareWebhook }) }),
      refusals: ['webhook_not_found'],
      responses: {
        204: {
          description: 'The webhook is deleted; attempts in flight may still arrive',
        },
      },
    },
    async ({ exchange, params }) => {
      await webhooks.remove(exchange.principal!.owner, params.id, actorOf(exchange), exchange.signal);
      return exchange.empty(204);
    },
  );
}

function mountSecret(routes: RouteTable, webhooks: WebhookService): void {
  routes.mount(
    {
      ...COMMON,
      method: 'post',
      path: '/v1/webhooks/{id}/secret',
      operationId: 'rotateWebhookSecret',
      summary: 'Replace the secret of a webhook',
      description:
        'For 24 hours, deliveries are signed with both the new and the old secret. ' +
        'Any secret from an earlier rotation stops working immediately, so send an Idempotency-Key if you may have to retry.',
      scope: 'webhooks:write',
      params: IdSchema,
      headers: OptionalIdempotencyHeadersSchema,
      refusals: ['webhook_not_found', 'secrets_key_missing', 'idempotency_key_reused'],
      responses: {
        200: jsonOf('The webhook, with its new secret', NewWebhookResponseSchema, { ...ETAG, ...REPLAYED }),
      },
    },
    async ({ exchange, params, headers }) => {
      const { owner } = exchange.principal!;
      const { result, replayed } = await webhooks.rotateSecret(
        owner,
        params.id,
        actorOf(exchange),
        exchange.signal,
        headers['Idempotency-Key'],
      );
      const { webhook, secret } = result;
      return respond(exchange, webhook, 200, { secret }, replayedFields(replayed));
    },
  );
}

function respond(
  exchange: Exchange,
  webhook: Webhook,
  status: 200 | 201,
  more: { secret?: string } = {},
  fields: Fields = {},
): Response {
  const resource = { ...toResource(webhook), ...more };
  return exchange.json(resource, status, { ETag: etagOf(webhook.version), ...fields });
}

function toResource({ owner: _owner, version: _version, ...webhook }: Webhook) {
  return webhook;
}
