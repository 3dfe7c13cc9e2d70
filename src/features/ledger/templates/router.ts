import { z } from '@hono/zod-openapi';
import type { Exchange } from '../../../envelope/exchange.ts';
import { linkNext, NEXT } from '../../../http/cursor.ts';
import { etagOf, expectedVersions } from '../../../http/etag.ts';
import { OptionalIdempotencyHeadersSchema, REPLAYED, replayedFields } from '../../../http/idempotency.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { DEMO_TEMPLATE } from '../../../utils/demo-data.ts';
import { actorOf } from '../../actor.ts';
import { type AccountTemplate, toNewTemplate } from '../account-template.ts';
import {
  ChartSchema,
  NewChartSchema,
  NewTemplateSchema,
  SpareParamsSchema,
  TemplatePageSchema,
  TemplateParamsSchema,
  TemplateQuerySchema,
  TemplateSchema,
} from '../template-schemas.ts';
import type { TemplateService } from './service.ts';

const COMMON = { tag: 'Accounts', tier: 'default', resource: 'database' } as const;
const BODY_LIMIT_BYTES = 65_536;
const IF_MATCH_LENGTH_MAX = 1000;
const ETAG = { ETag: { description: 'The version, for If-Match', schema: { type: 'string' } } } as const;

const ifMatchSchema = (description: string) =>
  z.object({ 'If-Match': z.string().max(IF_MATCH_LENGTH_MAX).optional().openapi({ description }) });
const expectedOf = (ifMatch: string | undefined) =>
  ifMatch === undefined ? undefined : expectedVersions(ifMatch);

/** Mounts `/v1/account-templates`. */
export function mountTemplates(routes: RouteTable, templates: TemplateService): void {
  mountSaving(routes, templates);
  mountOpening(routes, templates);
  mountReading(routes, templates);
}

function mountSaving(routes: RouteTable, templates: TemplateService): void {
  routes.mount(
    {
      ...COMMON,
      method: 'put',
      path: '/v1/account-templates/{name}',
      operationId: 'saveAccountTemplate',
      summary: 'Save a template for a chart of accounts',
      description:
        'Accounts that were opened from it stay as they are. If the template is the same already, nothing changes, so the request is safe to repeat.',
      scope: 'accounts:write',
      bodyLimitBytes: BODY_LIMIT_BYTES,
      params: TemplateParamsSchema,
      headers: ifMatchSchema(
        'The ETag you read, or `*` for any version, to replace the template. Without it the request only creates: if there is another one already, the response is 428.',
      ),
      body: NewTemplateSchema,
      example: DEMO_TEMPLATE,
      refusals: ['precondition_failed', 'precondition_required', 'too_many_account_templates'],
      responses: {
        200: jsonOf('The template as it is now', TemplateSchema, ETAG),
        201: jsonOf('The new template', TemplateSchema, ETAG),
      },
    },
    async ({ exchange, params, headers, body }) => {
      const { template, isNew } = await templates.save(
        exchange.principal!.owner,
        toNewTemplate(params.name, body),
        expectedOf(headers['If-Match']),
        actorOf(exchange),
        exchange.signal,
      );
      return respond(exchange, template, isNew ? 201 : 200);
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'delete',
      path: '/v1/account-templates/{name}',
      operationId: 'deleteAccountTemplate',
      summary: 'Delete a template; accounts that were opened from it stay',
      scope: 'accounts:write',
      params: SpareParamsSchema,
      headers: ifMatchSchema('The ETag you read, to delete only this version.'),
      refusals: ['account_template_not_found', 'precondition_failed'],
      responses: { 204: { description: 'The template is deleted' } },
    },
    async ({ exchange, params, headers }) => {
      const { owner } = exchange.principal!;
      const expected = expectedOf(headers['If-Match']) ?? 'any';
      await templates.remove(owner, params.name, expected, actorOf(exchange), exchange.signal);
      return exchange.empty(204);
    },
  );
}

function mountOpening(routes: RouteTable, templates: TemplateService): void {
  routes.mount(
    {
      ...COMMON,
      method: 'post',
      path: '/v1/account-templates/{name}/open',
      operationId: 'openChart',
      summary: 'Open all accounts of a template at once',
      description:
        'Opens all of them or none. Safe to repeat with the same Idempotency-Key; without one, each request opens another chart.',
      scope: 'accounts:write',
      params: TemplateParamsSchema,
      headers: OptionalIdempotencyHeadersSchema,
      body: NewChartSchema,
      example: { values: { customer: 'Carol', number: '4711' } },
      refusals: [
        'account_template_not_found',
        'template_values_invalid',
        'metadata_too_large',
        'idempotency_key_reused',
        'parent_not_found',
        'parent_ledger_differs',
        'account_tree_too_deep',
      ],
      responses: { 201: jsonOf('The new accounts, in the order of the template', ChartSchema, REPLAYED) },
    },
    async ({ exchange, params, headers, body }) => {
      const { result, replayed } = await templates.open(
        exchange.principal!.owner,
        { template: params.name, values: body.values ?? {}, parentId: body.parentId ?? null },
        actorOf(exchange),
        exchange.signal,
        headers['Idempotency-Key'],
      );
      return exchange.json(result, 201, replayedFields(replayed));
    },
  );
}

function mountReading(routes: RouteTable, templates: TemplateService): void {
  const reading = { ...COMMON, method: 'get', scope: 'accounts:read', compressible: true } as const;
  routes.mount(
    {
      ...reading,
      path: '/v1/account-templates',
      operationId: 'listAccountTemplates',
      summary: 'List your templates of accounts by name',
      query: TemplateQuerySchema,
      responses: { 200: jsonOf('A page of templates', TemplatePageSchema, NEXT) },
    },
    async ({ request, exchange, query: { cursor = null, limit } }) => {
      const found = await templates.list(exchange.principal!.owner, cursor, limit + 1, exchange.signal);
      const page = found.slice(0, limit);
      const nextCursor = found.length > limit ? `t${page.at(-1)!.name}` : null;
      return exchange.json({ templates: page, nextCursor }, 200, linkNext(request.url, nextCursor));
    },
  );

  routes.mount(
    {
      ...reading,
      path: '/v1/account-templates/{name}',
      operationId: 'getAccountTemplate',
      summary: 'Get a template of accounts',
      params: TemplateParamsSchema,
      refusals: ['account_template_not_found'],
      responses: { 200: jsonOf('The template', TemplateSchema, ETAG) },
    },
    async ({ exchange, params }) => {
      const { owner } = exchange.principal!;
      return respond(exchange, await templates.find(owner, params.name, exchange.signal), 200);
    },
  );
}

function respond(exchange: Exchange, template: AccountTemplate, status: 200 | 201): Response {
  return exchange.json(template, status, { ETag: etagOf(template.version) });
}
